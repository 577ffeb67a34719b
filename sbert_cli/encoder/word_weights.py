"""A fixed weight for each word, such as its inverse document frequency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sbert_cli.encoder.features import Features
from sbert_cli.encoder.json_file import read_object
from sbert_cli.encoder.part import Part
from sbert_cli.errors import ModelError

if TYPE_CHECKING:
    from typing_extensions import Self


class WordWeights(Part):
    """Token vectors × the weight of each word; mean pooling then divides by the weights' sum.

    The weights are fixed: they lie in the configuration and are no parameters.
    """

    takes = "tokens"
    gives = "tokens"
    weights: Tensor  # [words]

    def __init__(
        self, vocab: Sequence[str], word_weights: Mapping[str, float], unknown_word_weight: float
    ) -> None:
        super().__init__()
        self.vocab = list(vocab)
        self.word_weights = dict(word_weights)
        self.unknown_word_weight = unknown_word_weight
        values = torch.tensor(list(weights_of(vocab, word_weights, unknown_word_weight)))
        self.register_buffer("weights", values, persistent=False)

    @property
    def unknown_words(self) -> int:
        """How many words of the vocabulary have no weight of their own."""
        known = self.word_weights
        return sum(word not in known and word.lower() not in known for word in self.vocab)

    def describe(self) -> str:
        """The module in words."""
        return "word weights"

    def forward(self, features: Features) -> Features:
        """Set `features.weights` and multiply `features.tokens` by them."""
        features.weights = self.weights[features.ids]
        features.tokens = features.token_vectors() * features.weights.unsqueeze(1)
        return features

    @classmethod
    def read(cls, folder: Path, *, allow_bin: bool) -> Self:
        """The weights in `folder`, from its configuration alone: that is what other tools use."""
        path = folder / cls.config_file
        try:
            return cls.from_config(read_object(path))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"bad value for {error}", where=str(path)) from None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read the `config.json` of word weights."""
        return cls(config["vocab"], config["word_weights"], config.get("unknown_word_weight", 1))

    def to_config(self) -> dict[str, Any]:
        """The `config.json` that every release of sentence-transformers reads."""
        return {
            "vocab": self.vocab,
            "word_weights": self.word_weights,
            "unknown_word_weight": self.unknown_word_weight,
        }


def weights_of(
    vocab: Iterable[str], word_weights: Mapping[str, float], unknown: float
) -> Iterable[float]:
    """The weight of each word: its own, else that of its lower-case form, else `unknown`."""
    for word in vocab:
        yield float(word_weights.get(word, word_weights.get(word.lower(), unknown)))
