"""Evaluators: from a function that encodes texts to named metrics with one primary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sbert_cli.evaluation.information_retrieval import InformationRetrieval
from sbert_cli.evaluation.paraphrase_mining import ParaphraseMining
from sbert_cli.evaluation.reranking import Reranking
from sbert_cli.evaluation.result import Result
from sbert_cli.evaluation.sample import Sample
from sbert_cli.evaluation.similarity import Encode
from sbert_cli.evaluation.sts import Sts
from sbert_cli.evaluation.transfer import Transfer


class Evaluator(Protocol):
    """Judges a model by its vectors; the data is read when it is made."""

    name: str

    def __call__(self, encode: Encode) -> Result:
        """The Result for the model whose vectors `encode` gives."""
        ...


def no_evaluator() -> None:
    """Nothing to evaluate with: the last model of a training is kept."""


EVALUATORS: dict[str, Callable[..., Evaluator | None]] = {
    "information_retrieval": InformationRetrieval,
    "none": no_evaluator,
    "paraphrase_mining": ParaphraseMining,
    "reranking": Reranking,
    "sample": Sample,
    "sts": Sts,
    "transfer": Transfer,
}

__all__ = ["EVALUATORS", "Encode", "Evaluator", "Result"]
