"""Losses: functions of the column embeddings and the labels, by the name of their YAML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

from sbert_cli.losses.cosine import CosineLoss
from sbert_cli.losses.softmax import SoftmaxLoss


class Loss(Protocol):
    """A module called with columns, each [batch, dim], and labels [batch]; gives a scalar."""

    columns: ClassVar[int]  # text columns it needs
    labels: ClassVar[Literal["class", "score", "none"]]

    def __call__(self, columns: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        """The mean loss of the batch."""
        ...


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "cosine": CosineLoss,
    "softmax": SoftmaxLoss,
}

__all__ = ["LOSSES", "CosineLoss", "Loss", "SoftmaxLoss"]
