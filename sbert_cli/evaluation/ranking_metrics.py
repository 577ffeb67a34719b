"""Metrics of rankings in numpy: which ranks hold something relevant, how much of it there is.

Knows arrays only. Relevance is yes or no; what is relevant but was not ranked still counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Counts = NDArray[Any]
Metric = Callable[[Mask, Counts, int], Array]


def accuracy(relevant: Mask, total: Counts, k: int) -> Array:
    """1 where one of the first `k` ranks is relevant: `relevant` [queries, ranks] to [queries]."""
    return np.asarray(relevant[:, :k].any(axis=1), dtype=np.float64)


def precision(relevant: Mask, total: Counts, k: int) -> Array:
    """Share of `k` ranks that are relevant; ranks a small corpus cannot fill count as misses."""
    share: Array = relevant[:, :k].sum(axis=1) / k
    return share


def recall(relevant: Mask, total: Counts, k: int) -> Array:
    """Share of the `total` [queries] relevant ones that are among the first `k` ranks."""
    found: Array = relevant[:, :k].sum(1) / total
    return found


def mrr(relevant: Mask, total: Counts, k: int) -> Array:
    """Reciprocal rank of the first relevant one; 0 where it is not among the first `k`."""
    top = relevant[:, :k]
    return np.where(top.any(1), 1.0 / (top.argmax(1) + 1), 0.0) if top.size else np.zeros(len(top))


def ndcg(relevant: Mask, total: Counts, k: int) -> Array:
    """Discounted gain, 1/log2(rank + 1) a hit, as a share of the best that `k` ranks allow.

    Järvelin and Kekäläinen, Cumulated gain-based evaluation, 2002, with gains of 0 and 1.
    """
    discount = 1.0 / np.log2(np.arange(k) + 2)
    top = relevant[:, :k]
    best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(total, k)]
    gained: Array = (top @ discount[: top.shape[1]]) / best
    return gained


def average_precision(relevant: Mask, total: Counts, k: int) -> Array:
    """Mean precision at the relevant ranks up to `k`, over all that `k` ranks could hold."""
    top = relevant[:, :k]
    at_rank = np.cumsum(top, axis=1) / (np.arange(top.shape[1]) + 1)
    mean: Array = (at_rank * top).sum(1) / np.minimum(total, k)
    return mean


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "mrr": mrr,
    "ndcg": ndcg,
    "map": average_precision,
}


@dataclass(frozen=True, slots=True)
class Cuts:
    """Precision and recall where scores fall from one value to the next lower, best first.

    Equal scores are taken together, so that nothing depends on their order.
    """

    precision: Array  # [cuts]
    recall: Array  # [cuts]
    threshold: Array  # [cuts], midway between the score above and the score below
    average_precision: float

    @property
    def f1(self) -> Array:
        """Harmonic mean of precision and recall at each cut, [cuts]; 0 where both are 0."""
        both = self.precision + self.recall
        product = 2 * self.precision * self.recall
        return np.divide(product, both, out=np.zeros_like(both), where=both > 0)


def cuts(scores: NDArray[Any], relevant: Mask, total: int) -> Cuts:
    """The cuts of `scores` [rows], one or more, of which `total` are relevant, also unranked ones.

    The average precision is the sum of precision × gain in recall over the cuts.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = np.cumsum(relevant[order])[last]
    precision, recall = hits / (last + 1), hits / total
    below = np.append(ordered[last[:-1] + 1], ordered[-1:])  # nothing is below the last
    threshold = (ordered[last].astype(np.float64) + below) / 2
    area = float((precision * np.diff(recall, prepend=0.0)).sum())
    return Cuts(precision, recall, threshold, area)


def tied_ndcg(scores: NDArray[Any], relevant: Mask, k: int) -> float:
    """NDCG of one query whose equal scores share the mean discount of their ranks.

    McSherry and Najork, Computing information retrieval performance measures efficiently in the
    presence of tied scores, 2008.
    """
    discount = np.zeros(len(scores))
    discount[:k] = 1.0 / np.log2(np.arange(min(k, len(scores))) + 2)
    values, group = np.unique(-scores, return_inverse=True)
    ranks_of = np.bincount(group, minlength=len(values))
    gain = np.bincount(group, weights=relevant, minlength=len(values)) / ranks_of
    ends = np.cumsum(ranks_of)
    shared = np.diff(np.concatenate([[0.0], np.cumsum(discount)[ends - 1]]))
    return float(gain @ shared / discount[: int(relevant.sum())].sum())


def tied_mrr(scores: NDArray[Any], relevant: Mask, k: int) -> float:
    """Reciprocal rank of the best relevant row of one query; equal others stand before it.

    The cautious order: a model that gives all rows one score earns nothing by their order.
    """
    best = scores[relevant].max()
    rank = int((scores[~relevant] >= best).sum()) + 1
    return 1.0 / rank if rank <= k else 0.0
