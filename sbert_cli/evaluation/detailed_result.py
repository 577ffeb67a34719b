"""A Result that shows more: its metrics in a grid, a picture, and sections of its own.

Knows how they are put into a report, not what they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sbert_cli.evaluation.result import Result, Rows, shown
from sbert_cli.report import Section


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DetailedResult(Result):
    """A Result with what its evaluator knows better than a list of metrics.

    `grid` are header and rows of the table of metrics; `picture` draws into the file it is given.
    """

    grid: tuple[Sequence[str], Rows] | None = None
    about: str = ""  # what the grid shows, a sentence
    picture: Callable[[Path], Path] | None = None
    more: tuple[Section, ...] = ()

    def table(self) -> tuple[Sequence[str], Rows]:
        """The grid, or else a line a metric."""
        return self.grid or Result.table(self)

    def sections(self, plots: Path) -> list[Section]:
        """The score with its picture, the table of metrics, and the evaluator's own sections."""
        score, metrics = Result.sections(self, plots)
        image = self.picture(plots / f"{self.name}.png") if self.picture else None
        return [
            Section(score.heading, text=score.text, image=image),
            Section(metrics.heading, text=self.about, header=metrics.header, rows=metrics.rows),
            *self.more,
        ]


def by_similarity(
    metrics: Mapping[str, float], names: Sequence[str], similarities: Sequence[str]
) -> tuple[Sequence[str], Rows]:
    """A grid with a line a similarity and a column a metric, from `<metric>_<similarity>`.

    The key of a threshold is `<metric>_<similarity>_threshold`, its column `<metric>_threshold`.
    """
    rows = []
    for similarity in similarities:
        keys = (
            f"{name.removesuffix('_threshold')}_{similarity}_threshold"
            if name.endswith("_threshold")
            else f"{name}_{similarity}"
            for name in names
        )
        rows.append((similarity, *(shown(metrics[key]) for key in keys)))
    return ("similarity", *(name.replace("_", " ") for name in names)), rows
