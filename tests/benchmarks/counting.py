"""Counts the tokens of a contest and the arithmetic they take, padding left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks.row import Contest

if TYPE_CHECKING:
    from sbert_cli.engine.embedder import Embedder

# Tables that are looked up, and a layer that sentence vectors do not need.
UNMULTIPLIED = ("embeddings", "relative_attention_bias", "pooler")
TRAINING = 3  # backward takes twice the arithmetic of forward


def measured(contest: Contest, mine: Embedder, texts: Sequence[str], times: int = 1) -> Contest:
    """The contest with its tokens counted; `times` is TRAINING where gradients are taken."""
    lengths = np.asarray(mine.tokenizer(list(texts)).lengths)
    contest.tokens = int(lengths.sum())
    contest.flops = times * flops(mine, lengths)
    contest.detail = (
        f"{len(texts):,} texts, tokens {lengths.mean():.1f} ± {lengths.std():.1f} "
        f"({lengths.min()} to {lengths.max()})"
    )
    return contest


def flops(mine: Embedder, lengths: Any) -> float:
    """Of a forward pass: 2 a weight a token, and 4 · L² · width a layer for attention."""
    model: Any = mine.encoder.chain[0].model
    weights = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and not any(part in name for part in UNMULTIPLIED)
    )
    squares = float((lengths.astype(float) ** 2).sum())
    attention = 4 * squares * model.config.hidden_size * model.config.num_hidden_layers
    total: float = 2.0 * weights * float(lengths.sum()) + attention
    return total
