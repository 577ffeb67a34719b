"""Exact nearest neighbours: block by block over a corpus that may be a memory map.

The result depends neither on the size of the blocks nor on the order of the threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sbert_cli.errors import UsageError
from sbert_cli.retrieval.blocks import Blocks, Matrix

BLOCK = 16_384  # rows of the corpus scored at a time,
QUERIES = 256  # for so many queries: 16 MB of scores stay near the core
GROUP = 16_384  # queries that share one pass over the corpus
# Candidates beyond top_k, and the difference of scores that is mere rounding of a product in
# float32: scores that near are computed again, so that ties are found and broken by row.
SPARE, NEAR = 16, 1e-6
CELLS = 1 << 22  # numbers gathered at a time while computing again

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The best corpus rows of each query, best first; equal scores by row number."""

    rows: Rows  # [queries, top_k]
    scores: Matrix  # [queries, top_k]


def search(queries: NDArray[Any], corpus: NDArray[Any], top_k: int, score: str = "cosine") -> Hits:
    """The `top_k` rows of `corpus` [rows, dim] most like each of `queries` [queries, dim].

    `score` is cosine (a zero vector is like nothing, 0) or dot. A corpus of fewer rows gives them
    all; one query may be a vector [dim]. Raises UsageError for widths that differ, NumericalError
    for vectors that are not finite.
    """
    asked, blocks = Blocks(np.atleast_2d(queries), score), Blocks(corpus, score)
    if asked.vectors.shape[1] != corpus.shape[1]:
        widths = f"{asked.vectors.shape[1]} dimensions, the corpus {corpus.shape[1]}"
        raise UsageError(f"the queries have {widths}")
    if top_k < 1:
        raise UsageError(f"top_k must be at least 1, not {top_k}")
    top_k = min(top_k, len(corpus))
    parts = [
        _search(asked.take(start, start + GROUP)[: min(GROUP, len(asked) - start)], blocks, top_k)
        for start in range(0, len(asked), GROUP)
    ]
    if not parts:
        empty = (0, top_k)
        return Hits(np.empty(empty, np.int64), np.empty(empty, np.float32))
    rows, scores = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Hits(rows, scores)


def _search(asked: Matrix, blocks: Blocks, top_k: int) -> tuple[Rows, Matrix]:
    """Rows and scores of one group of queries, [queries, top_k] each."""
    width = min(top_k + SPARE, len(blocks))
    rows = np.full((len(asked), width), -1, dtype=np.int64)
    scores = np.full((len(asked), width), -np.inf, dtype=np.float32)
    largest = 0.0
    for start in range(0, len(blocks), BLOCK):
        stop = min(start + BLOCK, len(blocks))
        block = blocks.take(start, stop)
        largest = max(largest, blocks.largest(block))
        for first in range(0, len(asked), QUERIES):
            part = slice(first, first + QUERIES)
            found = (asked[part] @ block.T)[:, : stop - start]
            _merge(rows[part], scores[part], found, start)
    near = NEAR * largest * np.linalg.norm(asked, axis=1)
    # Gaps from the best to the first beyond top_k; where one is mere rounding, order is not known.
    unsure = np.flatnonzero((-np.diff(scores[:, : top_k + 1]) <= near[:, None]).any(axis=1))
    step = max(1, CELLS // max(1, width * asked.shape[1]))
    for first in range(0, len(unsure), step):
        few = unsure[first : first + step]
        rows[few], scores[few] = _order(asked[few], blocks, rows[few])
    return rows[:, :top_k], scores[:, :top_k]


def _merge(rows: Rows, scores: Matrix, found: Matrix, start: int) -> None:
    """Put what is better in `found` [queries, block] into the running best, in place."""
    width = rows.shape[1]
    better = found > scores[:, -1:]
    counts = np.count_nonzero(better, axis=1)
    most = int(counts.max(initial=0))
    if not most:
        return
    if most <= max(width, SPARE):
        flat = np.flatnonzero(better)
        owner, column = np.divmod(flat, found.shape[1])
        place = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = np.zeros((len(rows), most), dtype=np.int64)
        values = np.full((len(rows), most), -np.inf, dtype=np.float32)
        columns[owner, place] = column
        values[owner, place] = found[owner, column]
    else:
        columns = _best_columns(found, min(width, found.shape[1]))
        values = np.take_along_axis(found, columns, axis=1)
    rows_both = np.concatenate([rows, columns + start], axis=1)
    scores_both = np.concatenate([scores, values], axis=1)
    # A stable sort keeps the lower row first among equal scores.
    order = np.argsort(-scores_both, axis=1, kind="stable")[:, :width]
    rows[:] = np.take_along_axis(rows_both, order, axis=1)
    scores[:] = np.take_along_axis(scores_both, order, axis=1)


def _best_columns(found: Matrix, width: int) -> Rows:
    """The `width` best columns of each row of `found`, in rising order; ties by lower column."""
    best = torch.from_numpy(found).topk(width, sorted=False)
    columns = np.sort(best.indices.numpy(), axis=1)
    last = best.values.numpy().min(axis=1, keepdims=True)
    # Of columns that tie for the last places torch takes any.
    tied = np.flatnonzero(np.count_nonzero(found >= last, axis=1) > width)
    if len(tied):
        above, equal = found[tied] > last[tied], found[tied] == last[tied]
        places = width - np.count_nonzero(above, axis=1)
        chosen = above | (equal & (equal.cumsum(axis=1) <= places[:, None]))
        columns[tied] = np.nonzero(chosen)[1].reshape(-1, width)
    return columns


def _order(asked: Matrix, blocks: Blocks, rows: Rows) -> tuple[Rows, Matrix]:
    """The candidates `rows` [queries, width] scored in double precision and put in order."""
    vectors = blocks.pick(rows.reshape(-1)).reshape(*rows.shape, -1).astype(np.float64)
    # Not a matrix product: each sum is formed alone, so that equal vectors have equal scores.
    scores = np.einsum("qd,qwd->qw", asked.astype(np.float64), vectors).astype(np.float32)
    order = np.lexsort((rows, -scores))
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
