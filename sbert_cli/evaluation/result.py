"""What an evaluation found: named numbers with one primary, a row for a table, the worst pairs.

Knows neither models nor how the numbers came about.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbert_cli import atomic
from sbert_cli.errors import DataError
from sbert_cli.evaluation.metrics import Array


@dataclass(frozen=True, slots=True)
class Sample:
    """A judged pair; `error` is its rank by score less that by gold, as a share of the rows."""

    text1: str
    text2: str
    gold: float
    score: float
    error: float


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file of an evaluator: its name, its columns after epoch and steps, and one row."""

    file: str
    header: tuple[str, ...]
    row: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The outcome of one evaluation; metrics and interval are × 100.

    `interval` belongs to the primary metric and covers `confidence` of the resamplings.
    `gold` and `scores` are the points of a scatter plot, `samples` the worst pairs first.
    """

    name: str
    metrics: dict[str, float]
    primary: str
    interval: tuple[float, float] | None
    confidence: float
    rows: int
    table: Table
    samples: tuple[Sample, ...]
    gold: Array
    scores: Array

    @property
    def score(self) -> float:
        """The primary metric; NaN where it is not defined."""
        return self.metrics[self.primary]

    @property
    def headline(self) -> str:
        """The score in words: `spearman_cosine 82.03 (95 % interval 80.21 to 83.66)`."""
        if math.isnan(self.score):
            return f"{self.primary} not defined"
        words = f"{self.primary} {self.score:.2f}"
        if self.interval:
            low, high = self.interval
            words += f" ({100 * self.confidence:g} % interval {low:.2f} to {high:.2f})"
        return words

    def to_json(self) -> dict[str, Any]:
        """The numbers for JSON, which has no NaN: what is not defined is None."""
        return {
            "name": self.name,
            "primary": self.primary,
            "score": _number(self.score),
            "interval": list(self.interval) if self.interval else None,
            "confidence": self.confidence if self.interval else None,
            "rows": self.rows,
            "metrics": {name: _number(value) for name, value in self.metrics.items()},
        }

    def append_csv(self, folder: Path, epoch: int, steps: int) -> Path:
        """Add a row to the evaluator's CSV file in `folder`, with a header if it is new.

        Epoch -1 means a test after training, steps -1 the end of an epoch. Raises DataError
        when the file has other columns.
        """
        path = folder / self.table.file
        header = ["epoch", "steps", *self.table.header]
        text = (path.read_text(encoding="utf-8") if path.exists() else "") or _line(header)
        if text.splitlines()[0].split(",") != header:
            raise DataError(
                "the table has other columns than this evaluation",
                where=f"{path}:1",
                fix="move the file away",
            )
        return atomic.write(path, text + _line([epoch, steps, *self.table.row]))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
