"""How many tokens a batch on a GPU should hold: found by trying, remembered, halved when too many.

Knows only times and sizes.
"""

from __future__ import annotations

GAIN = 1.03  # a double budget must be so much faster to be worth its memory
TRIES = 2  # batches timed at each budget; the first also pays for new memory


class Budget:
    """The tokens of a batch: `current` doubles while that makes batches faster, up to `most`."""

    def __init__(self, start: int, most: int | None = None) -> None:
        self.current = start
        self.most = most or start
        self.searching = self.most > start  # whether batches should be timed
        self._best = 0.0  # tokens a second at the budget before
        self._speeds: list[float] = []

    def told(self, tokens: int, seconds: float) -> None:
        """Learn how long a batch of `tokens` took; small ones say nothing about the budget."""
        if not self.searching or 2 * tokens < self.current:
            return
        self._speeds.append(tokens / seconds)
        if len(self._speeds) < TRIES:
            return
        speed, self._speeds = max(self._speeds), []
        if speed < GAIN * self._best:
            self.current, self.searching = self.current // 2, False
        elif self.current >= self.most:
            self.searching = False
        else:
            self._best, self.current = speed, min(2 * self.current, self.most)

    def exhausted(self, tokens: int) -> None:
        """A batch of `tokens` did not fit: half of it from now on."""
        self.current, self.searching = max(1, min(self.current, tokens) // 2), False
