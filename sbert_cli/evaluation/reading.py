"""The rows an evaluator judges: of the user's own file, or of a dataset's split.

Knows how the keys `path`, `texts`, `label` and `dataset` become records; nothing of scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sbert_cli.config import pick
from sbert_cli.data import DATASETS, Records
from sbert_cli.data.fields import OnEmpty
from sbert_cli.data.file import read_table
from sbert_cli.data.files import find_table
from sbert_cli.data.labels import LabelRule
from sbert_cli.data.layout import format_of
from sbert_cli.errors import UsageError

Split = Literal["dev", "test"]
Column = str | int
Node = dict[str, Any]


def read_file(
    path: str,
    texts: Sequence[Column],
    *,
    label: Column | None = None,
    labels: Mapping[str, int] | None = None,
    on_empty: OnEmpty = "error",
    offline: bool = False,
) -> Records:
    """The rows of one file, with text columns and, where `label` is given, a class label.

    `path` may also be NAME or NAME/FILE of a dataset by name. A name that tells no format (and
    .txt) is read as tsv. Raises UsageError for columns that are not there, DataError for a
    malformed file.
    """
    rule = None if label is None else LabelRule(None, dict(labels) if labels else None)
    table = find_table(path, offline=offline)
    return read_table(table, texts, label=label, rule=rule, on_empty=on_empty)


def read_dataset(node: Node, split: Split, *, columns: tuple[int, ...], offline: bool) -> Records:
    """The rows of a split of the dataset of a node like those of the group `dataset`.

    Raises UsageError when its number of text columns is none of `columns`, the usual one first.
    """
    records = pick(DATASETS, node, "evaluator.dataset", offline=offline).load(split)
    if len(records.texts) not in columns:
        raise UsageError(
            f"{columns[0]} text columns are compared, the dataset '{node.get('name')}' has "
            f"{len(records.texts)}: {', '.join(records.texts)}",
            where=f"config key evaluator.dataset.name={node.get('name')}",
            fix="another dataset, or an own file: evaluator.path=FILE",
        )
    return records


def check_source(path: str | None, dataset: Node | None, evaluator: str) -> None:
    """Raises UsageError unless exactly one of `path` and `dataset` is given."""
    if (path is None) == (dataset is None):
        what = "nothing to judge by" if path is None else "a file and a dataset at once"
        raise UsageError(
            f"{what}: '{evaluator}' takes either a file or a dataset",
            where=f"config key evaluator.path={path or 'null'}, evaluator.dataset",
            fix=f"sbert eval {evaluator} FILE, or +dataset@evaluator.dataset=NAME",
        )


def check_columns(texts: Sequence[Column], names: Sequence[str]) -> None:
    """Raises UsageError unless there are as many columns as `names` says what they are."""
    if len(texts) != len(names):
        raise UsageError(
            f"{len(names)} text columns are compared, {len(texts)} are named",
            where="config key evaluator.texts",
            fix=f"evaluator.texts=[{','.join(names)}]",
        )


def name_of(path: str) -> str:
    """What to call a file: its name without the ends that tell format and packing."""
    name = Path(path).name
    for end in (".gz", ".zst"):
        name = name.removesuffix(end)
    return Path(name).stem if format_of(name) else name
