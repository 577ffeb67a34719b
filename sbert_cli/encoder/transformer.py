"""The transformer module: any encoder that transformers' AutoModel loads.

Runs packed where the architecture allows it, else run by run; both give the same vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sbert_cli.encoder import attention
from sbert_cli.encoder.features import Features, Run, dense
from sbert_cli.encoder.part import Part
from sbert_cli.encoder.tokenizer import TextTokenizer

# Two random rows of different lengths show whether packing changes what an architecture computes.
PROBE_LENGTHS = (3, 5, 5)
PROBE_TOLERANCE = 1e-4


class Transformer(Part):
    """Token ids → contextual token vectors [tokens, dim]."""

    takes = "texts"
    gives = "tokens"

    def __init__(self, model: Any, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        # Sentence vectors never use the pooler: it is kept for saving, not run.
        self._pooler = [getattr(model, "pooler", None)]
        if self._pooler[0] is not None:
            model.pooler = None
        offset = getattr(getattr(model, "embeddings", None), "padding_idx", None)
        shifted = hasattr(getattr(model, "embeddings", None), "create_position_ids_from_input_ids")
        self._first_position = offset + 1 if shifted and offset is not None else 0
        self.packed = self._can_pack()

    @property
    def dim(self) -> int:
        """Width of the token vectors."""
        return int(self.model.config.hidden_size)

    def forward(self, features: Features) -> Features:
        """Set `features.tokens`."""
        run_model = self._forward_packed if self.packed else self._forward_runs
        features.tokens = run_model(features.ids, features.runs)
        return features

    def _forward_packed(self, ids: Tensor, runs: Sequence[Run]) -> Tensor:
        positions = torch.cat(
            [torch.arange(run.length, device=ids.device).repeat(run.rows) for run in runs]
        )
        states: Tensor = self.model(
            input_ids=ids.unsqueeze(0),
            position_ids=(positions + self._first_position).unsqueeze(0),
            runs=runs,
        )[0]
        return states[0]

    def _forward_runs(self, ids: Tensor, runs: Sequence[Run]) -> Tensor:
        """One dense forward a run: no row has padding, so no mask is needed."""
        outputs = [self.model(input_ids=rows)[0].flatten(0, 1) for rows in dense(ids, runs)]
        return torch.cat(outputs)

    def _can_pack(self) -> bool:
        """Whether packed rows come out as they do alone: asked of the model, not of a list."""
        model = self.model
        if not getattr(model, "_supports_attention_backend", False):
            return False
        attention.register()
        own = model.config._attn_implementation
        vocab = int(model.config.vocab_size)
        ids = torch.arange(sum(PROBE_LENGTHS), device=model.device) % vocab
        pad = getattr(model.config, "pad_token_id", None)
        # A padding id has no position of its own in some models.
        ids = torch.where(ids == (-1 if pad is None else pad), (ids + 7) % vocab, ids)
        runs = (Run(0, 1, 3), Run(3, 2, 5))
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            expected = self._forward_runs(ids, runs)
            model.set_attn_implementation(attention.NAME)
            try:
                same = torch.allclose(
                    self._forward_packed(ids, runs).float(),
                    expected.float(),
                    atol=PROBE_TOLERANCE,
                )
            except TypeError:  # the model does not pass keywords on to its attention
                same = False
        model.train(was_training)
        if not same:
            model.set_attn_implementation(own)
        return same

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer into `folder`."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # the run shows its own progress
        if self._pooler[0] is not None:
            self.model.pooler = self._pooler[0]
        try:
            self.model.save_pretrained(folder)
        finally:
            if self._pooler[0] is not None:
                self.model.pooler = None
        self.tokenizer.save(folder)
