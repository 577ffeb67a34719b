"""SentenceEncoder: a chain of modules from token ids to one vector a text.

Knows nothing of files, devices or batching: `folder` reads and writes it, the engine runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor, nn

from sbert_cli.encoder.chain import width_of
from sbert_cli.encoder.features import Features
from sbert_cli.encoder.pooling import Pooling
from sbert_cli.encoder.tokenizer import Tokenizer
from sbert_cli.errors import UsageError, listed, nearest

# The option of the old T5 class; a saved folder has a prompt of this name.
PREFIX_NAME = "task_identifier"


@dataclass(slots=True)
class Card:
    """What a model folder says beside its modules."""

    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: str = "cosine"  # cosine, dot, euclidean or manhattan
    extra: dict[str, object] = field(default_factory=dict)  # unknown keys, kept for saving

    def with_prefix(self, prefix: str) -> Card:
        """What is put before every text, as the default prompt: other readers know only that."""
        if not prefix:
            return self
        own = self.prompts.get(self.default_prompt_name or "", "")
        prompts = {**self.prompts, PREFIX_NAME: prefix + own}
        return replace(self, prompts=prompts, default_prompt_name=PREFIX_NAME)

    def take_prefix(self) -> str:
        """The text that `with_prefix` wrote, which is no prompt any more."""
        if self.default_prompt_name != PREFIX_NAME or PREFIX_NAME not in self.prompts:
            return ""
        self.default_prompt_name = None
        return self.prompts.pop(PREFIX_NAME)


class SentenceEncoder(nn.Module):
    """Modules run in order on one Features; the last leaves the sentence vectors."""

    def __init__(self, modules: Iterable[nn.Module], card: Card | None = None) -> None:
        super().__init__()
        self.chain = nn.ModuleList(modules)
        self.card = card or Card()
        self.eval()  # until a training begins

    def forward(self, features: Features) -> Tensor:
        """Sentence vectors [rows, dim] in the order of the packed rows."""
        if not features.runs:
            return torch.zeros(0, self.dim, device=features.ids.device)
        modules = list(self.chain)
        features.wants_layers |= _need_layers(modules)
        features.wants_cls |= _need_only_cls(modules, features) and not features.wants_tokens
        for module in modules:
            features = module(features)
        return features.sentence_vectors()

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the first module."""
        return cast(Tokenizer, self.chain[0].tokenizer)

    @property
    def dim(self) -> int:
        """Width of the sentence vectors."""
        return width_of(list(self.chain))

    @property
    def max_seq_length(self) -> int | None:
        """Longest text in tokens, special tokens included; None: no limit."""
        return self.tokenizer.max_seq_length

    @property
    def needs_layers(self) -> bool:
        """Whether a module needs the vectors of every layer of the transformer."""
        return _need_layers(self.chain)

    @property
    def is_whole(self) -> bool:
        """Whether the chain ends with sentence vectors; a bare encoder ends with token vectors."""
        return getattr(self.chain[-1], "gives", None) == "sentence"

    @property
    def pooling(self) -> Pooling | None:
        """The pooling module, if the chain has one."""
        return next((module for module in self.chain if isinstance(module, Pooling)), None)

    def prompt(self, text: str | None, name: str | None) -> str:
        """The text to put before every input: given, named, or the model's default.

        Raises UsageError for a name that the model does not have.
        """
        if text is not None:
            return text
        name = self.card.default_prompt_name if name is None else name
        if name is None:
            return ""
        if name not in self.card.prompts:
            near = nearest(name, self.card.prompts)
            known = listed(self.card.prompts) or "none; use prompt='...'"
            raise UsageError(
                f"this model has no prompt called '{name}'",
                where=f"config key prompt_name={name}",
                fix=f"did you mean '{near}'?" if near else f"its prompts: {known}",
            )
        return self.card.prompts[name]


def _need_layers(modules: Iterable[nn.Module]) -> bool:
    return any(getattr(module, "needs_layers", False) for module in modules)


def _need_only_cls(modules: Sequence[nn.Module], features: Features) -> bool:
    pooling = modules[1] if len(modules) > 1 else None
    if not isinstance(pooling, Pooling) or pooling.modes != ("cls",):
        return False
    return pooling.include_prompt or not features.prompt_length
