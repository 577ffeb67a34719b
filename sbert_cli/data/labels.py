"""What labels mean: classes by number or word, scores on a scale.

Knows single values; nothing of rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sbert_cli.errors import listed, nearest

Kind = Literal["class", "score"]

MOST_CLASSES = 1_000_000


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How labels are read. kind None: the first label decides.

    Classes: `ids` are the ids of label words, None gives words numbers as they appear and takes
    whole numbers as they are, all below `count` where that is known. Scores: `low` to `high` in
    the file become 0 to 1; where one of them is infinite they stay as they are.
    """

    kind: Kind | None
    ids: Mapping[str, int] | None = None
    count: int | None = None
    low: float = 0.0
    high: float = 1.0


class LabelReader:
    """Reads labels by a rule; raises ValueError with a sentence for what does not fit."""

    def __init__(self, rule: LabelRule) -> None:
        self.rule, self.kind = rule, rule.kind
        self.ids = dict(rule.ids or {})
        self._count = rule.count or max(self.ids.values(), default=-1) + 1
        self._words = True if rule.ids else None  # None: the first class decides

    @property
    def classes(self) -> int | None:
        """How many classes there are so far; None for scores."""
        return self._count if self.kind == "class" else None

    def __call__(self, value: object) -> int | float:
        """A class id, or a score scaled to 0 to 1."""
        if self.kind is None:
            self.kind = _kind_of(value)
        return self._id(value) if self.kind == "class" else self._score(value)

    def _score(self, value: object) -> float:
        low, high = self.rule.low, self.rule.high
        number = _number(value)
        if number is None:
            raise ValueError(f"'{value}' is no number")
        if not low <= number <= high:
            scale = "min_score=... and max_score=... tell the scale"
            raise ValueError(f"score {value} is outside {low:g} to {high:g}; {scale}")
        return number if math.isinf(high - low) else (number - low) / (high - low)

    def _id(self, value: object) -> int:
        word = _word(value)
        if self._words is None:
            self._words = not _is_whole(word)
        if self._words:
            return self._number(word)
        if not _is_whole(word):
            hint = "labels={...}" if _number(word) is None else "label_type=score"
            raise ValueError(f"label '{word}' among whole numbers; perhaps {hint}")
        number = int(word)
        most = self.rule.count or MOST_CLASSES
        if not 0 <= number < most:
            raise ValueError(f"label {number} is outside 0 to {most - 1}")
        self._count = max(self._count, number + 1)
        return number

    def _number(self, word: str) -> int:
        if word not in self.ids:
            if self.rule.ids is not None:
                near = nearest(word, self.ids)
                hint = f", did you mean '{near}'?" if near else ""
                raise ValueError(f"label '{word}' is none of {listed(self.ids)}{hint}")
            self.ids[word] = self._count
            self._count += 1
        return self.ids[word]


def _kind_of(value: object) -> Kind:
    if isinstance(value, float):
        return "score"
    return "class" if _is_whole(word := _word(value)) or _number(word) is None else "score"


def _word(value: object) -> str:
    """A label as it would be written: true is 1, false 0, the number 2.0 is 2."""
    if isinstance(value, bool):
        return str(int(value))
    missing = value == "" or (isinstance(value, float) and math.isnan(value))
    if missing or not isinstance(value, str | int | float):
        raise ValueError("the label is missing")
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def _is_whole(word: str) -> bool:
    return word.isascii() and word.removeprefix("-").isdigit()


def _number(value: object) -> float | None:
    """A finite number, also when written as a word; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
