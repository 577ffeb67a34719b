"""Exact nearest neighbours by cosine, block by block over a corpus that may be a memory map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Rows of the corpus scored at a time: the scores of a block stay in the cache.
BLOCK = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The best corpus rows of each query, best first; equal scores by row number."""

    rows: NDArray[np.int64]  # [queries, top_k]
    scores: NDArray[np.float32]  # [queries, top_k]


def search(
    queries: NDArray[np.float32],
    corpus: NDArray[np.float32],
    top_k: int,
    *,
    score: Literal["cosine", "dot"] = "cosine",
) -> Hits:
    """The `top_k` rows of `corpus` [rows, dim] most like each of `queries` [queries, dim].

    By cosine a zero vector is like nothing (0).
    """
    scaled = _unit if score == "cosine" else np.asarray
    asked = scaled(queries)
    top_k = min(top_k, len(corpus))
    rows = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(corpus), BLOCK):
        block = scaled(np.asarray(corpus[start : start + BLOCK]))
        found = asked @ block.T
        numbers = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
        scores = np.concatenate([scores, found], axis=1)
        rows = np.concatenate([rows, numbers], axis=1)
        # A stable sort keeps the lower row number first among equal scores.
        keep = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
        scores = np.take_along_axis(scores, keep, axis=1)
        rows = np.take_along_axis(rows, keep, axis=1)
    return Hits(rows, scores)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return unit
