"""The ratios a row is held to: what it must reach and what it aims at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

AIM, MUST, MISSED = "aim", "must", "MISSED"
BELOW = "below aim"  # where there is nothing that it must reach
NO_RATIO = "no ratio"


@dataclass(frozen=True, slots=True)
class Goal:
    """Two ratios, either of which may be open; `lower` where less is better, as of memory."""

    must: float | None = None
    aim: float | None = None
    lower: bool = False

    def judge(self, ratio: float | None) -> str:
        """The best that the ratio reaches, or that it reaches nothing."""
        if ratio is None:
            return NO_RATIO
        if self.must is not None and not self._meets(ratio, self.must):
            return MISSED
        if self.aim is not None and self._meets(ratio, self.aim):
            return AIM
        return BELOW if self.must is None else MUST

    def to_json(self, ratio: float | None) -> dict[str, Any]:
        """The goal and what came of it."""
        return {
            "must": self.must,
            "aim": self.aim,
            "lower_is_better": self.lower,
            "reached": self.judge(ratio),
        }

    def _meets(self, ratio: float, bound: float) -> bool:
        return ratio <= bound if self.lower else ratio >= bound
