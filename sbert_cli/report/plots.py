"""Pictures as PNG files: training curves, and scores against gold.

Knows numbers only. matplotlib is imported when the first picture is drawn, and never its pyplot,
whose global state would leak between runs of a sweep.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbert_cli import atomic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Points = Sequence[float] | NDArray[np.float64]

ACCENT = "#0b6e99"
INK = "#444444"
# Ten that the colour-blind tell apart as far as ten can be; what has no place of its own is grey.
COLORS = ("#0b6e99", "#d1662a", "#3a923a", "#b8323f", "#7a5bab",
          "#8a6a3b", "#d16ba5", "#a3a11a", "#2ab3bf", "#20335c")  # fmt: skip
GREY, LIGHT = "#9a9a9a", "#d4d4d4"
DOTS_PER_INCH = 200  # 9 inches are 1800 pixels: sharp when shown 900 wide
STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#bbbbbb",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
}

Line = list[tuple[float, float]]


def curves(metrics_file: Path, out: Path) -> Path:
    """Loss, learning rate and dev score over the steps of a `metrics.jsonl`, side by side."""
    rows = _read(metrics_file)
    primary = next((str(row["primary"]) for row in reversed(rows) if "primary" in row), "")
    panels: list[tuple[str, Line]] = [
        ("training loss", _line(rows, "loss")),
        ("learning rate", _line(rows, "lr")),
        (f"dev {primary}".strip(), _line([_dev(row, primary) for row in rows], "score")),
    ]

    def draw(figure: Figure) -> None:
        for axes, (title, line) in zip(figure.subplots(1, 3, sharex=True), panels, strict=True):
            _curve(axes, title, line)
        # All three from 0 to the last step, so that one can look across.
        last = max((step for _, line in panels for step, _ in line), default=1)
        figure.axes[0].set_xlim(0, 1.04 * last)
        best = max(panels[2][1], key=lambda point: point[1], default=None)
        if best:
            _mark(figure.axes[2], best)

    return _save(draw, (9.0, 2.7), out)


def scatter(gold: Points, score: Points, out: Path, title: str) -> Path:
    """One dot a pair, score of the model over gold score; `title` carries the correlation."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        # The more dots, the fainter and smaller each: density stays visible.
        faint = min(0.7, max(0.04, 9 / math.sqrt(max(1, len(gold)))))
        size = 7 if len(gold) > 5000 else 16
        axes.scatter(gold, score, s=size, alpha=faint, color=ACCENT, linewidths=0)
        axes.set_title(title, pad=8)
        axes.set_xlabel("gold score")
        axes.set_ylabel("score of the model")
        if not len(gold):
            _say_empty(axes)

    return _save(draw, (5.4, 4.2), out)


def recall_curve(recall: Points, out: Path, title: str) -> Path:
    """Recall × 100 among the first k, for k from 1 up: how deep one must look."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(range(1, len(recall) + 1), recall, color=ACCENT)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_ylim(0, 102)
        axes.set_title(title, pad=8)
        axes.set_xlabel("k: first ranks")
        axes.set_ylabel("recall × 100")

    return _save(draw, (5.4, 3.4), out)


def clusters(points: Points, labels: Sequence[int], names: Sequence[str], out: Path) -> Path:
    """One dot a text [texts, 2], coloured by its label; `names` are the words of the clusters.

    The first clusters have a colour and a line in the legend; the others, and the texts in none
    (label below 0), are grey.
    """
    named = min(len(names), len(COLORS))
    parts = [(COLORS[i], names[i], [n == i for n in labels]) for i in range(named)]
    others = [n >= named for n in labels]
    greys = [(LIGHT, "in no cluster", [n < 0 for n in labels])]
    greys += [(GREY, f"{len(names) - named} smaller clusters", others)]
    size = 26 if len(labels) <= 300 else 12 if len(labels) <= 5000 else 5

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for color, name, mask in [*greys, *parts]:
            if any(mask):
                chosen = [place for place, kept in zip(points, mask, strict=True) if kept]
                x, y = zip(*chosen, strict=True)
                label = f"{name} ({len(chosen):,})"
                axes.scatter(x, y, s=size, color=color, alpha=0.8, linewidths=0, label=label)
        axes.set_title(f"{len(labels):,} texts in {len(names):,} clusters", pad=8)
        axes.set_xlabel("first principal component")
        axes.set_ylabel("second principal component")
        if not len(labels):
            _say_empty(axes)
            return
        handles, words = axes.get_legend_handles_labels()
        # Greys are drawn first, below; in the legend they come last.
        behind = len(handles) - named
        order = [*range(behind, len(handles)), *range(behind)]
        figure.legend(
            [handles[i] for i in order],
            [words[i].replace("$", r"\$") for i in order],
            loc="outside right upper",
            frameon=False,
            markerscale=1.4,
        )

    return _save(draw, (9.0, 4.6), out)


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a run that was killed may have left half a last line."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _dev(row: dict[str, Any], primary: str) -> dict[str, Any]:
    return {"step": row.get("step"), "score": row.get("dev", {}).get(primary)}


def _line(rows: list[dict[str, Any]], key: str) -> Line:
    """The points (step, value) of `key`; an undefined value (null, NaN) is left out."""
    points = ((row.get("step"), row.get(key)) for row in rows)
    return [
        (step, value)
        for step, value in points
        if step is not None and value is not None and math.isfinite(value)
    ]


def _curve(axes: Axes, title: str, line: Line) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(title, pad=8)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    if not line:
        _say_empty(axes)
        return
    steps, values = zip(*line, strict=True)
    # Few points are shown as points; one alone would draw no line at all.
    axes.plot(steps, values, color=ACCENT, marker="o" if len(line) <= 30 else "", markersize=3)


def _mark(axes: Axes, best: tuple[float, float]) -> None:
    """The best value, ringed, and written where a rising curve leaves room."""
    axes.plot(*best, marker="o", markersize=7, markerfacecolor="none", color=ACCENT)
    words = f"best {best[1]:.2f} at step {best[0]:,.0f}"
    axes.text(0.97, 0.06, words, transform=axes.transAxes, ha="right", color=ACCENT)


def _say_empty(axes: Axes) -> None:
    axes.tick_params(left=False, labelleft=False)
    axes.grid(visible=False)
    axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center")


def _short(value: float) -> str:
    """At most four digits: 0.25, 81.5, 2e-5."""
    return f"{value:.4g}".replace("e-0", "e-").replace("-", "−")


def _save(draw: Callable[[Figure], None], inches: tuple[float, float], out: Path) -> Path:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE), atomic.replacing(out) as temporary:
        figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        # Without the stamp of the program the same numbers give the same bytes.
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return out
