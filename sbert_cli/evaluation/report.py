"""A Result as sections of a report: the number, all metrics, the scatter, the worst pairs.

Knows Results and sections, not who asked or where the report goes.
"""

from __future__ import annotations

import math
from pathlib import Path

from sbert_cli.evaluation.result import Result
from sbert_cli.report import Section, scatter


def sections(result: Result, plots: Path) -> list[Section]:
    """The sections of `result`; its picture is also left as a file in the folder `plots`."""
    title = f"{result.name}: {result.headline.partition(' (')[0]}"
    picture = scatter(result.gold, result.scores, plots / f"{result.name}.png", title)
    return [_score(result, picture), _metrics(result), _worst(result)]


def _score(result: Result, picture: Path) -> Section:
    text = f"{result.headline}, over {result.rows:,} pairs."
    if math.isnan(result.score):
        text += " All gold scores, or all scores of the model, are the same."
    return Section(f"Score on {result.name}", text=text, image=picture)


def _metrics(result: Result) -> Section:
    """One line a similarity, one column a correlation."""
    by_similarity: dict[str, dict[str, float]] = {}
    for name, value in result.metrics.items():
        correlation, _, similarity = name.partition("_")
        by_similarity.setdefault(similarity, {})[correlation] = value
    rows = [
        (similarity, _shown(values["spearman"]), _shown(values["pearson"]))
        for similarity, values in by_similarity.items()
    ]
    text = "Correlation with the gold scores × 100, for each way to compare two vectors."
    header = ("similarity", "Spearman", "Pearson")
    return Section(f"All metrics of {result.name}", text=text, header=header, rows=rows)


def _worst(result: Result) -> Section:
    rows = [
        (pair.text1, pair.text2, pair.gold, pair.score, round(100 * pair.error))
        for pair in result.samples
    ]
    return Section(
        f"Worst pairs of {result.name}",
        text="The pairs whose rank by the model is farthest from their rank by gold score, in "
        "percent of all pairs: above 0 the model finds them too alike.",
        header=("text 1", "text 2", "gold", "score", "rank off, %"),
        rows=rows,
    )


def _shown(value: float) -> float | str:
    return "not defined" if math.isnan(value) else value
