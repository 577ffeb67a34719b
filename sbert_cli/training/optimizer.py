"""Optimizers and their parameter groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from sbert_cli.errors import UsageError

Named = Iterable[tuple[str, nn.Parameter]]


def adamw(
    *,
    parameters: Named,
    lr: float,
    betas: list[float],
    eps: float,
    weight_decay: float,
    no_decay: list[str],
) -> Optimizer:
    """AdamW with decoupled weight decay on all parameters but those that `no_decay` names."""
    if lr <= 0:
        raise UsageError(
            f"the learning rate must be more than 0, not {lr}",
            where=f"config key optimizer.lr={lr}",
            fix="optimizer.lr=2e-5",
        )
    if len(betas) != 2:
        raise UsageError("betas are two numbers", where=f"config key optimizer.betas={betas}")
    groups = decay_groups(parameters, weight_decay, no_decay)
    return torch.optim.AdamW(groups, lr=lr, betas=(betas[0], betas[1]), eps=eps, fused=True)


def decay_groups(
    parameters: Named, weight_decay: float, no_decay: list[str]
) -> list[dict[str, object]]:
    """Two groups: with and without weight decay, by parts of the parameters' names."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in parameters:
        spare = any(part in name for part in no_decay)
        (spared if spare else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": adamw}
