"""From nodes to Python: unknown names, keys and types are errors that name the right word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from sbert_cli.config import bind, convert, pick, plain
from sbert_cli.errors import UsageError


@dataclass(frozen=True)
class Thing:
    size: int
    rate: float
    kind: Literal["big", "small"]
    note: str | None


GOOD: dict[str, Any] = {"size": 2, "rate": 1, "kind": "big", "note": None}


def test_pick_builds_with_its_arguments_and_runtime_values() -> None:
    node = {"name": "thing", "size": 2, "rate": 0.5, "kind": "small"}
    made = pick({"thing": Thing}, node, "thing", note="given", unwanted=1)
    assert made == Thing(2, 0.5, "small", "given")


def test_pick_names_the_nearest_entry() -> None:
    with pytest.raises(UsageError) as caught:
        pick({"softmax": Thing}, {"name": "sofmax"}, "loss")
    assert "'softmax'" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"siez": 1}, ["unknown key 'thing.siez'", "'size'"]),
        ({"size": "big"}, ["'thing.size' must be a whole number, not 'big'"]),
        ({"size": True}, ["must be a whole number"]),
        ({"rate": "fast"}, ["must be a number"]),
        ({"kind": "smal"}, ["must be one of big, small", "'small'"]),
        ({"note": 3}, ["must be a word or null"]),
    ],
    ids=["typo", "word-for-int", "bool-for-int", "word-for-float", "choice", "optional"],
)
def test_bind_explains_each_mistake(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        bind(Thing, {**GOOD, **change}, where="thing")
    assert all(word in str(caught.value) for word in words)


def test_bind_tells_all_mistakes_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        bind(Thing, {"size": "x", "rate": 1.0, "colour": 1, "kind": "big"}, where="")
    assert all(word in caught.value.what for word in ("size", "colour", "no value for 'note'"))


def test_int_becomes_float_and_list_tuple() -> None:
    assert isinstance(bind(Thing, GOOD, where="").rate, float)
    assert convert([1, 2], tuple[int, ...]) == (1, 2)


def test_missing_value_is_named() -> None:
    from omegaconf import OmegaConf

    with pytest.raises(UsageError, match=r"model\.path"):
        plain(OmegaConf.create({"model": {"path": "???"}}))
