"""What a row of the benchmark is, and how it is run: parity first, then time.

A ratio stands only where both sides gave the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.timing import Run, Times, alternate

OURS = "ours"
FP32_LIMIT = 1e-5  # largest difference of a number
BF16_LIMIT = 0.9995  # smallest cosine of two vectors of one text


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the results of both sides are from one another, and whether that will do."""

    measure: str
    value: float
    limit: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the benchmark may take."""

    repeats: int
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """The size of a row: `full`, or `quick` where time is short."""
        return quick if self.quick else full


@dataclass(slots=True)
class Contest:
    """A row made ready: everything is loaded, each side is one call.

    `theirs` are the baselines by name. `flops` are those of one run, without padding.
    """

    ours: Run
    theirs: Mapping[str, Run]
    parity: Callable[[], Parity]
    amount: int
    unit: str  # what `amount` counts
    detail: str = ""  # the texts as they are: count, mean and spread of tokens
    tokens: int = 0
    flops: float = 0.0
    precision: str = "fp32"
    extra: dict[str, Any] = field(default_factory=dict)  # sweeps, for the JSON


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `prepare` raises Missing where the machine has not what it takes."""

    name: str
    condition: str
    prepare: Callable[[Plan], Contest]


class Missing(Exception):
    """The data, the model or the processor feature of a row is not here."""


def run_row(row: Row, plan: Plan) -> dict[str, Any]:
    """The row as it goes into the JSON: times, parity, ratios, or why there are none."""
    result: dict[str, Any] = {"name": row.name, "condition": row.condition, "skipped": None}
    try:
        contest = row.prepare(plan)
    except Missing as missing:
        return {**result, "skipped": str(missing)}
    parity = contest.parity()
    times = alternate({OURS: contest.ours, **contest.theirs}, plan.repeats)
    ratios = {name: divide(times[name], times[OURS], parity) for name in contest.theirs}
    ours = times[OURS]
    return {
        **result,
        "detail": contest.detail,
        "amount": contest.amount,
        "unit": contest.unit,
        "precision": contest.precision,
        "parity": {
            "measure": parity.measure,
            "value": parity.value if math.isfinite(parity.value) else None,
            "limit": parity.limit,
            "holds": parity.holds,
        },
        "sides": {name: each.to_json() for name, each in times.items()},
        "ratios": ratios,
        "void": None if parity.holds else say_void(parity),
        "per_second": {name: contest.amount / each.median for name, each in times.items()},
        "tokens_per_second": contest.tokens / ours.median,
        "flops_per_second": {name: contest.flops / each.median for name, each in times.items()},
        **contest.extra,
    }


def divide(theirs: Times, ours: Times, parity: Parity) -> dict[str, float | None]:
    """How many times our wall and CPU seconds theirs are; null where the results differ."""
    if not parity.holds:
        return {"wall": None, "cpu": None}
    return {"wall": theirs.median / ours.median, "cpu": theirs.cpu_median / ours.cpu_median}


def say_void(parity: Parity) -> str:
    """Why a row has no ratio."""
    return f"the results differ: {parity.measure} {parity.value:.3g}, the limit is {parity.limit:g}"


def largest_difference(
    ours: NDArray[Any],
    theirs: NDArray[Any],
    limit: float = FP32_LIMIT,
    what: str = "largest difference",
) -> Parity:
    """Whether two arrays agree in every number; arrays of different shapes never do."""
    same = ours.shape == theirs.shape
    value = float(np.abs(ours - theirs).max(initial=0)) if same else float("inf")
    return Parity(what, value, limit, value <= limit)  # NaN does not hold


def smallest_cosine(ours: NDArray[Any], theirs: NDArray[Any]) -> Parity:
    """Whether the vectors of every text point the same way."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    value = float(((ours * theirs).sum(axis=1) / lengths).min())
    return Parity("smallest cosine", value, BF16_LIMIT, value >= BF16_LIMIT)
