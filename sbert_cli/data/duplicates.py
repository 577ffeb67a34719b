"""Texts of which some say the same: the layout of the Quora duplicates, and files of judged pairs.

Knows ids, texts and pairs of ids; nothing of how a model finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sbert_cli.console import note
from sbert_cli.data.beir import add_text, packed, read_table
from sbert_cli.data.fields import text_fault
from sbert_cli.data.files import SPLITS, find_file
from sbert_cli.data.layout import choose_layout, locate
from sbert_cli.data.rows import open_rows
from sbert_cli.errors import DataError

LAYOUT = "<split>_corpus.tsv (qid, question) and <split>_duplicates.tsv (qid1, qid2)"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Texts by id, and the pairs of ids that say the same."""

    texts: dict[str, str]
    pairs: list[tuple[str, str]]


def read_duplicates(root: Path, split: Literal["dev", "test"]) -> Duplicates:
    """The duplicates of a split in a folder, or in one right below it, each file packed or not.

    Raises DataError for another layout and for broken lines.
    """
    for name in SPLITS[split]:
        corpus = find_file(root, packed(f"{name}_corpus.tsv"))
        pairs = find_file(root, packed(f"{name}_duplicates.tsv"))
        if corpus and pairs:
            texts = dict[str, str]()
            for place, (key, text) in read_table(corpus, "qid", "question"):
                add_text(texts, key, text, place)
            table = read_table(pairs, "qid1", "qid2")
            return Duplicates(texts, [(left, right) for _, (left, right) in table])
    raise DataError(
        f"no duplicates of the {split} split", where=str(root), fix=f"the folder needs {LAYOUT}"
    )


def read_judged_pairs(
    path: str,
    *,
    texts: Sequence[str | int],
    label: str | int,
    delimiter: str | None,
    quoting: bool | None,
) -> Duplicates:
    """All texts of a file of pairs, each its own id, and the pairs labelled 1.

    Rows without a label or with an empty text are left out and counted in a note. Raises
    UsageError for columns that are not there, DataError for a label that is neither 0 nor 1.
    """
    layout = choose_layout(
        path, (*texts, label), format="auto", header="auto", delimiter=delimiter, quoting=quoting
    )
    rows = open_rows(Path(path).expanduser(), layout)
    columns = locate(rows.names, texts, file=path, key="evaluator.texts")
    columns += locate(rows.names, [label], file=path, key="evaluator.label")
    found, skipped = Duplicates({}, []), 0
    for place, (left, right, value) in rows.cells(columns):
        for text in (left, right):
            if fault := text_fault(text):
                raise DataError(fault, where=place)
        one, other, judged = str(left).strip(), str(right).strip(), _label(value, place)
        if not one or not other or judged is None:
            skipped += 1
            continue
        found.texts[one], found.texts[other] = one, other
        if judged:
            found.pairs.append((one, other))
    if skipped:
        note(f"{path}: {skipped:,} rows with an empty text or without a label are left out")
    return found


def _label(value: object, place: str) -> bool | None:
    """Whether a pair says the same; None for an empty cell."""
    word = str(value).strip().lower()
    if value is None or word in ("", "nan"):
        return None
    if word in ("1", "1.0", "true"):
        return True
    if word in ("0", "0.0", "false"):
        return False
    raise DataError(f"the label '{word[:40]}' is neither 0 nor 1", where=place)
