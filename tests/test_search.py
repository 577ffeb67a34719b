"""Exact search against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from sbert_cli.retrieval import search as module
from sbert_cli.retrieval.search import search


@pytest.mark.parametrize("block", [3, 17, 10_000])
def test_search_equals_brute_force(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    generator = np.random.default_rng(0)
    corpus = generator.normal(size=(101, 8)).astype(np.float32)
    queries = generator.normal(size=(5, 8)).astype(np.float32)
    cosines = (queries @ corpus.T) / np.outer(
        *(np.linalg.norm(x, axis=1) for x in (queries, corpus))
    )
    expected = np.argsort(-cosines, axis=1)[:, :10]
    hits = search(queries, corpus, top_k=10)
    np.testing.assert_array_equal(hits.rows, expected)
    np.testing.assert_allclose(hits.scores, np.take_along_axis(cosines, expected, 1), atol=1e-6)


def test_search_breaks_ties_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    corpus = np.array([[0, 1], [1, 0], [2, 0], [3, 0], [4, 0]], dtype=np.float32)
    hits = search(np.array([[1, 0]], dtype=np.float32), corpus, top_k=3)
    assert hits.rows.tolist() == [[1, 2, 3]]


def test_search_of_a_small_corpus_gives_all_of_it() -> None:
    corpus = np.zeros((2, 3), dtype=np.float32)
    hits = search(np.ones((1, 3), dtype=np.float32), corpus, top_k=9)
    assert hits.rows.tolist() == [[0, 1]]
    assert hits.scores.tolist() == [[0, 0]]
