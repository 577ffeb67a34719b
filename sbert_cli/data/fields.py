"""Rows to Arrow: every text and label checked where it stands.

Rows go in, record batches come out; knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from sbert_cli.data.labels import LabelReader, LabelRule
from sbert_cli.data.rows import Row
from sbert_cli.errors import DataError, listed

OnEmpty = Literal["error", "skip"]

BATCH_ROWS, BATCH_CHARACTERS = 8192, 1 << 24
FEW = 10  # values in a message
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns to make: cells come as texts, then the label, then the split.

    Rows whose split is none of `splits` are left out.
    """

    texts: tuple[str, ...]
    label: str | None
    rule: LabelRule | None
    splits: tuple[str, ...] | None = None
    on_empty: OnEmpty = "error"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known once all rows are read; `words` maps label words to ids."""

    rows: int
    skipped: int
    num_labels: int | None
    words: Mapping[str, int]


class Conversion:
    """Rows as checked Arrow batches, iterated once; then `facts` is complete.

    Raises DataError, with file, line and column, for the first cell that is not what it should be.
    """

    def __init__(self, rows: Iterable[Row], roles: Roles, source: str) -> None:
        self._rows, self._roles, self._source = rows, roles, source
        self._label = LabelReader(roles.rule) if roles.rule else None
        self._count = self._skipped = 0
        self._start()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        roles, width = self._roles, len(self._roles.texts)
        others = set[str]()
        for place, cells in self._rows:
            if roles.splits is not None and cells[-1] not in roles.splits:
                if len(others) < FEW:
                    others.add(str(cells[-1])[:40])
                continue
            texts = cells[:width]
            unlabelled = roles.on_empty == "skip" and self._label and cells[width] in (None, "")
            if not self._texts_are_there(place, texts) or unlabelled:
                self._skipped += 1
                continue
            for column, text in zip(self._texts, texts, strict=True):
                column.append(text)
                self._size += len(str(text))
            if self._label:
                self._labels.append(self._read_label(place, cells[width]))
            if len(self._texts[0]) >= BATCH_ROWS or self._size >= BATCH_CHARACTERS:
                yield self._flush()
        if self._texts[0]:
            yield self._flush()
        if not self._count:
            raise self._nothing(others)

    @property
    def facts(self) -> Facts:
        """Counts and label words."""
        if self._label is None:
            return Facts(self._count, self._skipped, None, {})
        return Facts(self._count, self._skipped, self._label.classes, self._label.ids)

    def _start(self) -> None:
        self._texts: list[list[object]] = [[] for _ in self._roles.texts]
        self._labels: list[int | float] = []
        self._size = 0

    def _texts_are_there(self, place: str, texts: Iterable[object]) -> bool:
        for name, text in zip(self._roles.texts, texts, strict=True):
            if fault := text_fault(text):
                raise DataError(fault, where=f"{place}:{name}")
            if not text or str(text).isspace():
                if self._roles.on_empty == "skip":
                    return False
                raise DataError(
                    "the text is empty",
                    where=f"{place}:{name}",
                    fix="fill it in or remove the row; dataset=file can skip it: on_empty=skip",
                )
        return True

    def _read_label(self, place: str, value: object) -> int | float:
        assert self._label
        try:
            return self._label(value)
        except ValueError as error:
            first = place.endswith(":1")
            fix = (
                "if this line names the columns: name them, not their positions"
                if first
                else "mend the line, or tell what the words mean: labels={no: 0, yes: 1}"
                if self._roles.rule and self._roles.rule.ids
                else "mend the line"
            )
            where = f"{place}:{self._roles.label}"
            raise DataError(str(error), where=where, fix=fix) from None

    def _flush(self) -> pa.RecordBatch:
        arrays: list[Any] = [pa.array(texts, pa.string()) for texts in self._texts]
        names = list(self._roles.texts)
        if self._label:
            kind = pa.int64() if self._label.kind == "class" else pa.float32()
            arrays.append(pa.array(self._labels, kind))
            names.append(self._roles.label or "label")
        self._count += len(self._texts[0])
        self._start()
        return pa.record_batch(arrays, names=names)

    def _nothing(self, others: set[str]) -> DataError:
        splits = self._roles.splits
        what = "no rows"
        if splits is not None and others:
            what = f"no rows of the split '{splits[0]}'; there is {listed(others)}"
        elif self._skipped:
            what = f"no rows but {self._skipped:,} with empty cells"
        return DataError(what, where=self._source)


def text_fault(text: object) -> str:
    """What is wrong with a text that should be a string of characters; nothing: ''."""
    if not isinstance(text, str):
        return f"{'null' if text is None else repr(text)[:40]} where a text is expected"
    if "\0" in text:
        return "a NUL character in the text"
    # JSON can write the halves of a pair (\ud83d\ude00) alone; UTF-8 cannot.
    if not text.isascii() and (half := SURROGATE.search(text)):
        return f"half a character in the text: \\u{ord(half[0]):x}, a lone surrogate"
    return ""
