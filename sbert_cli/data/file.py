"""Any csv, tsv, jsonl, parquet, Arrow or text file as a dataset, its columns named by the user.

Knows how settings become a plan; nothing of particular datasets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sbert_cli.data.fields import OnEmpty, Roles
from sbert_cli.data.labels import LabelRule
from sbert_cli.data.layout import FileFormat, Layout, choose_layout, format_of, no_columns
from sbert_cli.data.records import Column, Plan, Records, Split
from sbert_cli.data.rows import open_rows
from sbert_cli.errors import DataError, UsageError

Paths = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnFile:
    """Rows of the user's own files; configs/dataset/file.yaml tells what each key means.

    Several paths are line files of equal length, a column each.
    """

    path: Paths
    dev_path: Paths | None
    test_path: Paths | None
    format: FileFormat
    texts: tuple[Column, ...] | None
    label: Column | None
    label_type: Literal["auto", "class", "score", "none"]
    labels: dict[str, int] | None
    min_score: float
    max_score: float
    header: bool | Literal["auto"]
    delimiter: str | None
    quoting: bool | None
    on_empty: OnEmpty
    max_examples: int
    owner: str = "dataset"

    def __post_init__(self) -> None:
        if not self.min_score < self.max_score:
            raise UsageError(
                f"the scale from {self.min_score:g} to {self.max_score:g} is empty",
                where=f"config key min_score={self.min_score:g}, max_score={self.max_score:g}",
                fix="min_score=0 max_score=5",
            )

    def load(self, split: Split) -> Records:
        """The rows of the file of a split; dev and test have the label ids of the train file.

        Raises UsageError for columns that are not there, DataError for malformed files.
        """
        path = {"train": self.path, "dev": self.dev_path, "test": self.test_path}[split]
        if path is None:
            raise UsageError(
                f"no file for the {split} split",
                where=f"config key {split}_path=null",
                fix=f"dataset.{split}_path=FILE",
            )
        rule = self._rule()
        if rule and rule.kind != "score" and rule.ids is None:
            train = self._plan(self.path, rule).load(0)
            if train.num_labels == 1:
                raise DataError("all rows have the same label", where=f"{self.path}:{self.label}")
            kind = "class" if train.num_labels else "score"
            if split != "train" and kind == "class":
                rule = LabelRule("class", train.words or None, train.num_labels)
            elif split != "train":
                rule = LabelRule("score", low=self.min_score, high=self.max_score)
        return self._plan(path, rule).load(self.max_examples)

    def _rule(self) -> LabelRule | None:
        if self.label is None or self.label_type == "none":
            return None
        if self.labels is not None:
            return LabelRule("class", self.labels)
        kind = None if self.label_type == "auto" else self.label_type
        return LabelRule(kind, low=self.min_score, high=self.max_score)

    def _plan(self, path: Paths, rule: LabelRule | None) -> Plan:
        label = self.label if rule else None
        if not isinstance(path, str):
            return self._parallel(path, rule, label)
        layout = choose_layout(
            path,
            # Who names no columns yet is shown those of the first line.
            (*(self.texts or ["?"]), label),
            format=self.format,
            header=self.header,
            delimiter=self.delimiter,
            quoting=self.quoting,
        )
        key = f"{self.owner}.texts"
        if not self.texts:
            names = open_rows(path, layout).names
            raise no_columns(names, what="which columns are the texts?", file=path, key=key)
        names = name_columns(self.texts)
        name = None if label is None else name_columns((*self.texts, label))[-1]
        roles = Roles(names, name, rule, None, self.on_empty)
        return Plan((Path(path).expanduser(),), layout, self.texts, roles, label, None, self.owner)

    def _parallel(
        self, paths: tuple[str, ...], rule: LabelRule | None, label: Column | None
    ) -> Plan:
        if self.format != "auto":
            raise UsageError(
                f"several paths are plain line files, a column each, not {self.format}",
                where=f"config key format={self.format}",
                fix="format=auto, or one path",
            )
        texts = self.texts or tuple(range(len(paths)))
        names = name_columns(texts if label is None else (*texts, label))
        roles = Roles(
            names[: len(texts)], None if label is None else names[-1], rule, None, self.on_empty
        )
        files = tuple(Path(path).expanduser() for path in paths)
        return Plan(files, Layout("parallel"), texts, roles, label, None, self.owner)


def read_pairs(
    path: str,
    *,
    texts: Sequence[Column],
    score: Column,
    min_score: float,
    max_score: float,
) -> Records:
    """The scored pairs of one file, for an evaluator: texts in order, scores scaled to 0 to 1.

    With an infinite end of the scale the scores stay as they are. Raises as `read_table`.
    """
    rule = LabelRule("score", low=min_score, high=max_score)
    return read_table(path, texts, label=score, rule=rule)


def read_table(
    path: str,
    texts: Sequence[Column],
    *,
    label: Column | None = None,
    rule: LabelRule | None = None,
    on_empty: OnEmpty = "error",
) -> Records:
    """The rows of one file for an evaluator, with text columns and, by `rule`, a label.

    Raises UsageError for columns that are not there, DataError for a malformed file.
    """
    return OwnFile(
        path=path,
        dev_path=None,
        test_path=None,
        format=table_format(path),
        texts=tuple(texts),
        label=label,
        label_type=(rule.kind or "auto") if rule else "none",
        labels=dict(rule.ids) if rule and rule.ids else None,
        min_score=rule.low if rule else 0.0,
        max_score=rule.high if rule else 1.0,
        header="auto",
        delimiter=None,
        quoting=None,
        on_empty=on_empty,
        max_examples=0,
        owner="evaluator",
    ).load("train")


def table_format(path: str) -> FileFormat:
    """How a file whose rows have several columns is read: .txt and names without end are tsv."""
    return "auto" if format_of(path) not in (None, "txt") else "tsv"


def name_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    """Distinct names for columns: their own, `column_<position>` for those without."""
    names: list[str] = []
    for column in columns:
        name = column if isinstance(column, str) else f"column_{column}"
        # The same column twice is meant: two views of one text.
        names.append(f"{name}_{len(names) + 1}" if name in names else name)
    return tuple(names)
