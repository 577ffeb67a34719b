"""Rows about vectors that are there already: exact search and the mining of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks import material
from tests.benchmarks.encode_rows import DEFAULT, TUNED
from tests.benchmarks.row import Contest, Parity, Plan, Row, largest_difference
from tests.benchmarks.timing import Run, fastest

DIM, TOP_K = 384, 10
QUERY_CHUNKS = (50, 100, 250, 500)
NEIGHBOURS, MOST = 100, 500_000  # defaults of both
MINE_CHUNKS = (1_000, 5_000)


def searching(plan: Plan) -> Contest:
    """Exact search; tuned is their best number of queries a chunk."""
    import torch
    from sentence_transformers.util import semantic_search

    from sbert_cli.retrieval.search import search

    corpus = material.unit_vectors(plan.size(200_000, 50_000), DIM, 1)
    asked = material.unit_vectors(plan.size(500, 200), DIM, 2)
    # The tensors share the memory of the arrays.
    given = torch.from_numpy(asked), torch.from_numpy(corpus)

    def theirs(chunk: int) -> Run:
        return lambda: semantic_search(*given, top_k=TOP_K, query_chunk_size=chunk)

    def parity() -> Parity:
        hits = theirs(100)()
        scores = np.array([[hit["score"] for hit in each] for each in hits])
        return largest_difference(search(asked, corpus, TOP_K).scores, scores)

    best, sweep = fastest(QUERY_CHUNKS, theirs)
    return Contest(
        lambda: search(asked, corpus, TOP_K),
        {DEFAULT: theirs(100), TUNED: theirs(best)},
        parity,
        len(asked),
        "queries",
        detail=f"{len(asked):,} queries, {len(corpus):,} vectors",
        extra={"tuned": {"query_chunk_size": best, "sweep_seconds": sweep}},
    )


def mining(plan: Plan) -> Contest:
    """The pairs most alike; tuned is their best number of rows a chunk."""
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    from sbert_cli.retrieval.mining import mine

    vectors = material.unit_vectors(plan.size(20_000, 4_000), DIM, 3)
    given = torch.from_numpy(vectors)

    def theirs(chunk: int) -> Run:
        return lambda: paraphrase_mining_embeddings(
            given, query_chunk_size=chunk, top_k=NEIGHBOURS, max_pairs=MOST
        )

    def ours() -> Any:
        return mine(vectors, top_k=NEIGHBOURS, max_pairs=MOST)

    def parity() -> Parity:
        found, pairs = ours().scores, theirs(5_000)()
        return largest_difference(found, np.array([pair[0] for pair in pairs]))

    best, sweep = fastest(MINE_CHUNKS, theirs)
    return Contest(
        ours,
        {DEFAULT: theirs(5_000), TUNED: theirs(best)},
        parity,
        len(vectors),
        "vectors",
        detail=f"{len(vectors):,} vectors, {NEIGHBOURS} neighbours, {MOST:,} pairs",
        extra={"tuned": {"query_chunk_size": best, "sweep_seconds": sweep}},
    )


ROWS = (
    Row("search", "exact, cosine, 10 best of random vectors [.., 384]", searching),
    Row("mine", "random vectors [.., 384]", mining),
)
