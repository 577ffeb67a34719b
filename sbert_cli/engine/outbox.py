"""Vectors on their way from the device to memory, without waiting for every batch.

On a GPU a batch is copied while later ones are computed; on a CPU it is there at once.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DEPTH = 4  # batches whose copies may be under way

Rows = NDArray[np.int64]


class Event(Protocol):
    """What tells that everything a device was asked for before is done."""

    def synchronize(self) -> None:
        """Wait for it."""


class Copy(NamedTuple):
    """A batch that is being copied."""

    rows: Rows
    host: Tensor
    done: Event


class Outbox:
    """Writes batches of vectors into the rows of an array where they belong."""

    def __init__(self, target: NDArray[np.float32], device: torch.device) -> None:
        self.target = target
        self._copies = device.type == "cuda"
        self._under_way: deque[Copy] = deque()

    def put(self, rows: Rows, vectors: Tensor) -> None:
        """Take the vectors [rows, dim] of a batch; `close` tells when all are written."""
        if not self._copies:
            self.target[rows] = vectors.cpu().numpy()
            return
        host = self._pinned(vectors)
        host.copy_(vectors, non_blocking=True)
        self._under_way.append(Copy(rows, host, self._mark()))
        while len(self._under_way) > DEPTH:
            self._write()

    def close(self) -> None:
        """Wait for the copies that are under way."""
        while self._under_way:
            self._write()

    def _write(self) -> None:
        copy = self._under_way.popleft()
        copy.done.synchronize()
        self.target[copy.rows] = copy.host.numpy()

    def _pinned(self, like: Tensor) -> Tensor:
        """Memory that the device can write to while we go on; torch keeps such blocks for reuse."""
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def _mark(self) -> Event:
        event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        mark: Event = event
        return mark
