"""Training rows as tokens: every distinct text tokenised once, rows drawn by index.

The order of an epoch is a pure function of seed and epoch, so that any step can be found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sbert_cli.encoder import Features, Tokens
from sbert_cli.encoder.tokenizer import Tokenizer
from sbert_cli.engine.packing import pack

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """A tokenised dataset."""

    tokens: Tokens  # of the distinct texts
    columns: tuple[Rows, ...]  # for each text column, [rows] → row of `tokens`
    labels: NDArray[np.int64] | NDArray[np.float32] | None  # [rows]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def truncated(self) -> int:
        """Texts, over all columns, that were cut at the model's limit."""
        return sum(int(self.tokens.truncated[column].sum()) for column in self.columns)

    def batch(self, rows: Rows, device: torch.device) -> Batch:
        """Some rows as one packed batch of all columns."""
        texts = np.concatenate([column[rows] for column in self.columns])
        features, order = pack(self.tokens, texts, device=device)
        back = torch.from_numpy(np.argsort(order, kind="stable")).to(device)
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows]).to(device)
        return Batch(features, back, len(self.columns), labels)


@dataclass(frozen=True, slots=True)
class Batch:
    """All columns of some rows in one packed forward pass."""

    features: Features
    back: Tensor  # [columns × rows], where the vector of each text lies
    width: int  # text columns
    labels: Tensor | None  # [rows]

    def split(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """The vectors of the packed rows as columns, each [rows, dim]."""
        return vectors[self.back].chunk(self.width)


def tokenize(
    tokenizer: Tokenizer,
    columns: Sequence[Sequence[str]],
    labels: NDArray[np.int64] | NDArray[np.float32] | None,
) -> Examples:
    """Tokenise all columns of a dataset, equal texts once."""
    index: dict[str, int] = {}
    rows = tuple(
        np.fromiter((index.setdefault(text, len(index)) for text in column), np.int64, len(column))
        for column in columns
    )
    return Examples(tokenizer(list(index)), rows, labels)


def epoch_order(rows: int, seed: int, epoch: int) -> Rows:
    """A permutation of the rows that depends on seed and epoch alone."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(rows)


def batches(rows: int, batch_size: int, seed: int, epoch: int) -> Iterator[Rows]:
    """The rows of each batch of an epoch; the last batch may be smaller."""
    order = epoch_order(rows, seed, epoch)
    for start in range(0, rows, batch_size):
        yield order[start : start + batch_size]
