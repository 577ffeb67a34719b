"""What was measured, as JSON, as a table and as a picture."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbert_cli import atomic
from tests.benchmarks.row import OURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = ("row", "ours", "against", "theirs", "wall", "CPU", "MFU", "parity")
QUIET = 0.5  # processes; with more of them at the start times are not to be trusted


def write(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """`<date>-<machine>.json`, `latest.txt` and `latest.png` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{report['date']}-{report['machine']['name']}.json"
    text = json.dumps(report, indent=1, allow_nan=False)
    atomic.write(folder / name, text + "\n")
    atomic.write(folder / "latest.txt", table(report))
    return [folder / name, folder / "latest.txt", picture(report, folder / "latest.png")]


def machine_name(processor: str, cores: int) -> str:
    """A file-name part for a kind of machine: `intel-xeon-processor-2-cores`."""
    plain = re.sub(r"\(\w+\)", "", processor).lower()
    return "-".join([*re.findall(r"[a-z0-9]+", plain), str(cores), "cores"])


def table(report: Mapping[str, Any]) -> str:
    """The whole report as plain text; wall and CPU say how many times ours theirs takes."""
    machine = report["machine"]
    lines = [
        f"{report['date']}, {machine['processor']}, {machine['threads']} threads, "
        f"{', '.join(f'{name} {version}' for name, version in report['versions'].items())}",
        f"median of {report['repeats']} runs{', small sizes' if report['quick'] else ''}, sides in "
        f"turn; load {machine['load']:.2f} at the "
        f"start{'' if machine['load'] <= QUIET else ': NOT A QUIET MACHINE'}",
        *(f"matmul {name}: {rate / 1e9:,.0f} GFLOP/s" for name, rate in report["peaks"].items()),
        "",
        *_aligned([HEADER, *(cells for row in report["rows"] for cells in _cells(row, report))]),
        "",
        *(_note(row) for row in report["rows"]),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cells(row: Mapping[str, Any], report: Mapping[str, Any]) -> list[Sequence[str]]:
    if row["skipped"]:
        return [(row["name"], "skipped", "", "", "", "", "", "")]
    speed, unit = row["per_second"], row["unit"]
    cells: list[Sequence[str]] = []
    for against, ratio in row["ratios"].items():
        first = not cells
        cells.append(
            (
                row["name"] if first else "",
                f"{_number(speed[OURS])} {unit}/s" if first else "",
                against,
                _number(speed[against]),
                *(_ratio(ratio[clock]) for clock in ("wall", "cpu")),
                _share(row, report["peaks"]) if first else "",
                ("same" if row["parity"]["holds"] else "DIFFERS") if first else "",
            )
        )
    return cells


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _digits(value: float) -> str:
    return f"{value:.6f}" if value > 0.1 else f"{value:.2g}"


def _ratio(value: float | None) -> str:
    return "void" if value is None else f"{value:.2f}×"


def _share(row: Mapping[str, Any], peaks: Mapping[str, float]) -> str:
    """Model FLOP/s as a share of the largest product's in the same precision."""
    most = max(
        (rate for name, rate in peaks.items() if name.startswith(row["precision"])), default=0
    )
    used = row["flops_per_second"][OURS]
    return f"{100 * used / most:.0f} %" if most and used else ""


def _note(row: Mapping[str, Any]) -> str:
    """A line under the table: the condition, the texts, and what went wrong."""
    parts = [row["condition"], row.get("detail"), row["skipped"], row.get("void")]
    if row.get("parity") and row["parity"]["holds"]:
        parts.insert(2, f"{row['parity']['measure']} {_digits(row['parity']['value'])}")
    if tuned := row.get("tuned"):
        chosen = next((key, value) for key, value in tuned.items() if key != "sweep_seconds")
        parts.append(f"tuned {chosen[0]} {chosen[1]}")
    return f"{row['name']}: {'; '.join(part for part in parts if part)}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def picture(report: Mapping[str, Any], out: Path) -> Path:
    """Bars of the wall ratios that stand, each row and baseline one; 1 is a draw."""
    from sbert_cli.report.picture import COLORS, save, say_empty

    bars = [
        (f"{row['name']} vs {against}", ratio["wall"])
        for row in report["rows"]
        for against, ratio in row.get("ratios", {}).items()
        if ratio["wall"] is not None
    ]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_title("How many times our time theirs takes (wall seconds, median)")
        if not bars:
            say_empty(axes)
            return
        names, ratios = zip(*reversed(bars), strict=True)
        drawn = axes.barh(names, ratios, color=COLORS[0], height=0.7)
        axes.bar_label(drawn, [f"{ratio:.2f}×" for ratio in ratios], padding=3)
        axes.axvline(1, color=COLORS[1], linewidth=1)

    return save(draw, (9, 1.5 + 0.3 * len(bars)), out)
