"""Where tokens stand in their texts: places in a table, and MPNet's bias by distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sbert_cli.encoder.features import Run, move

FAR = 128  # tokens; beyond, all distances share the last bucket


def places(runs: Sequence[Run], first: int, device: torch.device) -> Tensor:
    """For every token its number in its text, counted from `first`, [tokens] int64."""
    parts = [torch.arange(first, first + run.length).repeat(run.rows) for run in runs]
    return move(torch.cat(parts), device)


class RelativeBias:
    """What distance adds to the scores of the attention, the same in every layer.

    T5's buckets (arXiv:1910.10683, section 2.1) as MPNet uses them: half of them for each
    direction; near distances have one each, far ones share by logarithm.
    """

    def __init__(self, table: nn.Embedding) -> None:
        self.table = table  # [buckets, heads]

    def of(self, runs: Sequence[Run]) -> list[Tensor]:
        """The bias of each run, [1, heads, length, length]."""
        return [self._of(run.length) for run in runs]

    def _of(self, length: int) -> Tensor:
        bucket = move(buckets(length, self.table.num_embeddings), self.table.weight.device)
        bias: Tensor = self.table(bucket).permute(2, 0, 1)
        return bias.unsqueeze(0)


def buckets(length: int, count: int) -> Tensor:
    """The bucket of every pair of places, [length, length]: row sees column."""
    place = torch.arange(length)
    distance = place[:, None] - place[None, :]
    half = count // 2
    later = (distance < 0).long() * half
    distance = distance.abs()
    exact = half // 2
    scale = (half - exact) / math.log(FAR / exact)
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) * scale).long()
    return later + torch.where(distance < exact, distance, far.clamp(max=half - 1))
