"""The encode loop around the model: budgets found and halved, copies, work ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sbert_cli.encoder import Features, SentenceEncoder
from sbert_cli.engine import embedder as embedder_module
from sbert_cli.engine.ahead import ahead
from sbert_cli.engine.budget import GAIN, TRIES, Budget
from sbert_cli.engine.device import choose
from sbert_cli.engine.embedder import Embedder
from sbert_cli.engine.outbox import DEPTH, Outbox
from sbert_cli.engine.packing import Cutter
from sbert_cli.engine.settings import EngineSettings
from sbert_cli.errors import ResourceError
from tests.models import TEXTS, tiny_encoder


def embedder(encoder: SentenceEncoder, token_budget: int = 64) -> Embedder:
    return Embedder(
        encoder, choose(EngineSettings("cpu", "fp32", 1, token_budget, 1, compile=False))
    )


class Small:
    """A device whose memory holds only so many tokens."""

    def __init__(self, encoder: SentenceEncoder, most: int) -> None:
        self.forward_of, self.most = encoder.forward, most
        self.sizes: list[int] = []

    def __call__(self, features: Features) -> torch.Tensor:
        self.sizes.append(len(features.ids))
        if len(features.ids) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.forward_of(features)


def test_batches_that_do_not_fit_are_halved_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = tiny_encoder()
    expected = embedder(encoder).encode(TEXTS)
    small = Small(encoder, 30)
    monkeypatch.setattr(encoder, "forward", small)
    ours = embedder(encoder, token_budget=1_000)
    np.testing.assert_allclose(ours.encode(TEXTS), expected, atol=1e-6)
    assert ours.budget.current <= 30, "the smaller budget is remembered"
    small.sizes.clear()
    ours.encode(TEXTS)
    assert max(small.sizes) <= 30
    assert ours.count.texts == 2 * len(TEXTS), "no text is counted twice"


def test_a_text_that_never_fits_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder()
    monkeypatch.setattr(encoder, "forward", Small(encoder, 4))
    with pytest.raises(ResourceError, match="does not fit"):
        embedder(encoder).encode(TEXTS)


def tell(budget: Budget, speed: float) -> None:
    for _ in range(TRIES):
        budget.told(budget.current, budget.current / speed)


def test_the_budget_doubles_while_that_is_faster() -> None:
    budget = Budget(100, 1_000)
    tell(budget, 10.0)
    assert budget.current == 200
    tell(budget, 20.0)
    assert budget.current == 400 and budget.searching
    tell(budget, 20.0 * (GAIN - 0.01))
    assert budget.current == 200 and not budget.searching
    tell(budget, 1e9)
    assert budget.current == 200


def test_the_budget_stops_at_its_limit() -> None:
    budget = Budget(100, 150)
    tell(budget, 10.0)
    assert budget.current == 150 and budget.searching
    tell(budget, 20.0)
    assert budget.current == 150 and not budget.searching
    assert not Budget(100).searching


def test_small_batches_say_nothing_about_the_budget() -> None:
    budget = Budget(100, 1_000)
    for _ in range(10):
        budget.told(49, 1.0)
    assert budget.current == 100


def test_memory_that_ran_out_ends_the_search() -> None:
    budget = Budget(100, 1_000)
    tell(budget, 10.0)
    budget.exhausted(180)
    assert budget.current == 90 and not budget.searching


def test_the_search_is_part_of_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter(np.arange(1e6))
    ours = embedder(tiny_encoder(), token_budget=8)
    ours.budget = Budget(8, 64)
    # Every batch takes a second: the larger, the faster.
    monkeypatch.setattr(ours, "_clock", lambda: next(clock))
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    vectors = ours.encode(texts)
    assert ours.budget.current == 64 and not ours.budget.searching
    np.testing.assert_allclose(vectors, embedder(tiny_encoder()).encode(texts), atol=1e-6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 50), max_size=60), st.lists(st.integers(1, 120), min_size=1))
def test_a_cutter_takes_every_row_once_whatever_the_budgets(
    lengths: list[int], budgets: list[int]
) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    cutter, taken, turn = Cutter(sizes), [], 0
    while len(rows := cutter.take(budgets[turn % len(budgets)])):
        if turn % 3 == 0:
            cutter.put_back(rows)
            again = cutter.take(1)
            assert len(again) == 1 and again[0] == rows[0]
            rows = again
        taken += rows.tolist()
        turn += 1
    assert sorted(taken) == list(range(len(lengths)))
    assert (np.diff(sizes[taken]) >= 0).all() if taken else not lengths


class Device(Outbox):
    """An outbox whose device writes late: a copy holds nothing before its event is waited for."""

    def __init__(self, target: Any) -> None:
        super().__init__(target, torch.device("cpu"))
        self._copies = True
        self.log: list[str] = []

    def _pinned(self, like: torch.Tensor) -> torch.Tensor:
        outer = self

        class Late(torch.Tensor):
            def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
                assert non_blocking, "a copy must not wait"
                self.source = source.clone()
                return self

        outer.last = torch.full(like.shape, torch.nan).as_subclass(Late)
        return outer.last

    def _mark(self) -> Any:
        host = self.last
        self.log.append("copy")
        outer = self

        class Done:
            def synchronize(self) -> None:
                outer.log.append("wait")
                torch.Tensor.copy_(host, host.source)

        return Done()


def test_copies_are_waited_for_late_and_arrive_in_their_rows() -> None:
    target = np.zeros((30, 4), dtype=np.float32)
    box, order = Device(target), np.random.default_rng(1).permutation(30)
    values = torch.randn(30, 4)
    for batch in np.array_split(order, 10):
        box.put(batch, values[batch])
    assert box.log[: DEPTH + 1] == ["copy"] * (DEPTH + 1)
    box.close()
    assert box.log.count("copy") == box.log.count("wait") == 10
    np.testing.assert_array_equal(target, values.numpy())


def test_the_next_item_is_worked_on_while_one_is_used() -> None:
    begun = [threading.Event() for _ in range(5)]

    def work(number: int) -> int:
        begun[number].set()
        return number * number

    found = []
    for number, result in enumerate(ahead(work, range(5))):
        if number < 4:
            assert begun[number + 1].wait(10), "the next one has not begun"
        if number < 3:
            assert not begun[number + 2].is_set(), "more than one ahead"
        found.append(result)
    assert found == [0, 1, 4, 9, 16]
    assert list(ahead(work, [])) == [] and list(ahead(work, [2])) == [4]


def test_an_error_ahead_is_raised_in_its_place() -> None:
    results = ahead(lambda number: 1 // number, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_parts_of_a_long_list_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = embedder(tiny_encoder()).encode(TEXTS)
    monkeypatch.setattr(embedder_module, "PART", 3)
    ours = embedder(tiny_encoder())
    np.testing.assert_allclose(ours.encode(TEXTS), expected, atol=1e-6)
    assert ours.count.texts == len(TEXTS)
