"""Cuts tokenised texts into batches of equal-length runs under a token budget.

A plan is a pure function of the token counts; it knows nothing of models or devices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sbert_cli.encoder import Features, Tokens, runs_of

Rows = NDArray[np.int64]


def plan(lengths: NDArray[np.int64], token_budget: int) -> Iterator[Rows]:
    """Row numbers of each batch: by token count, together at most `token_budget` tokens.

    A text longer than the budget has a batch of its own.
    """
    order = np.argsort(lengths, kind="stable")
    total = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths[order])])
    start = 0
    while start < len(order):
        end = int(np.searchsorted(total, total[start] + token_budget, side="right")) - 1
        end = max(end, start + 1)
        yield order[start:end]
        start = end


def pack(
    tokens: Tokens, rows: Rows, *, device: torch.device, prompt_length: int = 0
) -> tuple[Features, Rows]:
    """The rows as one packed batch on `device`, and where each of its vectors belongs.

    Vector `i` of the batch is that of `rows[order[i]]`.
    """
    lengths = tokens.offsets[rows + 1] - tokens.offsets[rows]
    order = np.argsort(lengths, kind="stable")
    packed = rows[order]
    ids = torch.from_numpy(tokens.gather(packed)).to(device=device, dtype=torch.long)
    runs = runs_of(lengths[order].tolist())
    return Features(ids, runs, prompt_length=prompt_length), order
