"""How alike vectors are: cosine, dot product and the negated distances, over arrays.

One definition for every command and the Python API; knows nothing of texts or models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbert_cli.errors import UsageError, unknown

Floats = NDArray[Any]  # float32 or float64
Lengths = NDArray[np.float32]

# Beyond these lengths the squares of a float32 overflow, or lose digits to underflow.
SMALL, LARGE = 1e-12, 1e18


def unit(vectors: NDArray[Any], out: Lengths | None = None) -> Lengths:
    """The rows of `vectors` [rows, dim] scaled to length 1, in float32; a zero row stays zero.

    `out` receives them where it is given, so that a block needs no memory of its own.
    """
    rows: Lengths = np.asarray(vectors, dtype=np.float32)
    lengths = lengths_of(rows)
    if not ((lengths > SMALL) & (lengths < LARGE)).all():
        largest = np.abs(rows).max(axis=1, initial=0)
        with np.errstate(invalid="ignore"):  # infinity becomes NaN
            rows = np.divide(rows, np.where(largest > 0, largest, 1)[:, None])
        lengths = lengths_of(rows)
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    with np.errstate(invalid="ignore"):
        result: Lengths = np.multiply(rows, scale[:, None], out=out)
    return result


def lengths_of(vectors: Lengths) -> Lengths:
    """Euclidean length of each row of a float32 array, [rows, dim] to [rows]."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: Lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths


def cosine(a: Floats, b: Floats) -> Floats:
    """Cosine of every row of a [n, dim] with every row of b [m, dim]; 0 for a zero row."""
    return _unit_any(a) @ _unit_any(b).T


def dot(a: Floats, b: Floats) -> Floats:
    """Dot product of every row of a [n, dim] with every row of b [m, dim]."""
    return a @ b.T


def euclidean(a: Floats, b: Floats) -> Floats:
    """Negative straight-line distance of all pairs of rows, so that more is more alike."""
    return _distance(a, b, "euclidean")


def manhattan(a: Floats, b: Floats) -> Floats:
    """Negative sum of absolute differences of all pairs of rows."""
    return _distance(a, b, "cityblock")


SIMILARITIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "cosine": cosine,
    "dot": dot,
    "euclidean": euclidean,
    "manhattan": manhattan,
}


def similarity(a: Any, b: Any, score: str = "cosine") -> Floats:
    """The similarity [n, m] of every row of `a` [n, dim] with every row of `b` [m, dim].

    `score` is cosine, dot, euclidean or manhattan, the last two negated. One vector counts as one
    row. Halves and integers are computed in float32, doubles in float64. Raises UsageError for
    widths that differ and for other scores.
    """
    first, second = _ready(a, b)
    return _named(score)(first, second)


def pairwise_similarity(a: Any, b: Any, score: str = "cosine") -> Floats:
    """The similarity [n] of each row of `a` [n, dim] with the same row of `b` [n, dim].

    Scores, types and errors are those of `similarity`.
    """
    first, second = _ready(a, b)
    if len(first) != len(second):
        raise UsageError(f"{len(first)} vectors cannot be paired with {len(second)}")
    if score in ("cosine", "dot"):
        if score == "cosine":
            first, second = _unit_any(first), _unit_any(second)
        result: Floats = np.einsum("ij,ij->i", first, second)
        return result
    order = 2 if _named(score) is euclidean else 1
    difference = first.astype(np.float64) - second
    result = -np.linalg.norm(difference, ord=order, axis=1).astype(first.dtype)
    return result


def _named(score: str) -> Callable[[Floats, Floats], Floats]:
    if score not in SIMILARITIES:
        raise unknown("similarity", score, SIMILARITIES, f"argument score={score}")
    return SIMILARITIES[score]


def _ready(a: Any, b: Any) -> tuple[Floats, Floats]:
    """Both as matrices of one floating-point type, float32 or wider."""
    first, second = (np.atleast_2d(np.asarray(each)) for each in (a, b))
    if first.shape[1] != second.shape[1]:
        raise UsageError(
            f"vectors of {first.shape[1]} dimensions cannot be compared with vectors of "
            f"{second.shape[1]}"
        )
    wide = np.float64 if np.float64 in (first.dtype, second.dtype) else np.float32
    return first.astype(wide, copy=False), second.astype(wide, copy=False)


def _unit_any(vectors: Floats) -> Floats:
    if vectors.dtype == np.float32:
        return unit(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return result


def _distance(a: Floats, b: Floats, metric: str) -> Floats:
    # In double precision and without the expansion a² + b² - 2ab, which loses small distances.
    from scipy.spatial.distance import cdist

    result: Floats = -cdist(a, b, metric).astype(a.dtype)
    return result
