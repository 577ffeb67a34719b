"""The transformer module: our own `Bert`, or any encoder that transformers' AutoModel loads.

Runs packed where the architecture allows it, else run by run; both give the same vectors.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sbert_cli.encoder import attention
from sbert_cli.encoder.bert import Bert
from sbert_cli.encoder.bert_files import save_bert
from sbert_cli.encoder.features import Features, Run, dense, only_first
from sbert_cli.encoder.json_file import write_json
from sbert_cli.encoder.part import Part
from sbert_cli.encoder.tokenizer import TextTokenizer

# Two random rows of different lengths show whether packing changes what an architecture computes.
PROBE_LENGTHS = (3, 5, 5)
PROBE_TOLERANCE = 1e-4


class Transformer(Part):
    """Token ids → contextual token vectors [tokens, dim]."""

    takes = "texts"
    gives = "tokens"
    gives_layers = True

    def __init__(self, model: Any, tokenizer: TextTokenizer, *, cls: int = 0) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.cls = cls  # place of the token that stands for the text
        # All layers are given where a later module needs them, whatever the folder says.
        self.saves_layers = bool(model.config.output_hidden_states)
        model.config.output_hidden_states = False
        self._pooler = [None]
        self.packed = True
        # The tokenizer says whether the model is to be told which of two texts a token is of.
        self._takes_types = "token_type_ids" in tokenizer.pretrained.model_input_names
        if not isinstance(model, Bert):
            self._fit(model)

    def _fit(self, model: Any) -> None:
        """Find out how to run a model of the library."""
        # Nothing is generated: keys and values of earlier tokens are not kept.
        takes = inspect.signature(model.forward).parameters
        self._takes_types &= "token_type_ids" in takes
        self._options = {name: False for name in ("use_cache", "use_mems") if name in takes}
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

    def describe(self) -> str:
        """The module in words."""
        prefix = self.tokenizer.prefix
        return f"transformer with '{prefix}' before every text" if prefix else "transformer"

    def forward(self, features: Features) -> Features:
        """Set `features.tokens` and `cls`, and `layers` where `wants_layers` asks for them."""
        # A text without a token has no place here; the pooling gives it a zero vector.
        runs = tuple(run for run in features.runs if run.length)
        if not runs:
            features.tokens = torch.zeros(0, self.dim, device=features.ids.device)
            count = int(self.model.config.num_hidden_layers) + 1
            features.layers = (features.tokens,) * count if features.wants_layers else None
            return features
        types = features.types if self._takes_types else None
        if isinstance(self.model, Bert):
            only_cls = features.wants_cls and not features.wants_layers and self.cls == 0
            only_cls = only_cls and bool(self.model.layers)
            states = self.model(
                features.ids, runs, types, layers=features.wants_layers, cls=only_cls
            )
            if only_cls:
                features.runs = only_first(features.runs)
        else:
            run_model = self._forward_packed if self.packed else self._forward_runs
            states = run_model(features.ids, runs, types, layers=features.wants_layers)
        features.tokens, *layers = states
        features.layers = tuple(layers) or None
        features.cls = self.cls
        return features

    def _forward_packed(
        self,
        ids: Tensor,
        runs: Sequence[Run],
        types: Tensor | None = None,
        *,
        layers: bool = False,
    ) -> list[Tensor]:
        """Token vectors [tokens, dim], then those of every layer if asked."""
        positions = torch.cat(
            [torch.arange(run.length, device=ids.device).repeat(run.rows) for run in runs]
        )
        typed = {} if types is None else {"token_type_ids": types.unsqueeze(0)}
        output = self.model(
            **typed,
            input_ids=ids.unsqueeze(0),
            position_ids=(positions + self._first_position).unsqueeze(0),
            runs=runs,
            output_hidden_states=layers,
            **self._options,
        )
        return [states[0] for states in (output[0], *(output.get("hidden_states") or ()))]

    def _forward_runs(
        self,
        ids: Tensor,
        runs: Sequence[Run],
        types: Tensor | None = None,
        *,
        layers: bool = False,
    ) -> list[Tensor]:
        """One dense forward a run: no row has padding, so no mask is needed."""
        kinds: Sequence[dict[str, Tensor]] = [{}] * len(runs)
        if types is not None:
            kinds = [{"token_type_ids": rows} for rows in dense(types, runs)]
        outputs = [
            self.model(input_ids=rows, output_hidden_states=layers, **typed, **self._options)
            for rows, typed in zip(dense(ids, runs), kinds, strict=True)
        ]
        parts = [(output[0], *(output.get("hidden_states") or ())) for output in outputs]
        return [
            torch.cat([states.flatten(0, 1) for states in same])
            for same in zip(*parts, strict=True)
        ]

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
            expected = self._forward_runs(ids, runs)[0]
            model.set_attn_implementation(attention.NAME)
            try:
                same = torch.allclose(
                    self._forward_packed(ids, runs)[0].float(),
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
        """Write weights, configuration, tokenizer and its settings into `folder`."""
        if isinstance(self.model, Bert):
            self.model.config.output_hidden_states = self.saves_layers
            try:
                save_bert(self.model, folder)
            finally:
                self.model.config.output_hidden_states = False
        else:
            self._save(folder)
        self.tokenizer.save(folder)
        settings = {
            "max_seq_length": self.tokenizer.max_seq_length,
            "do_lower_case": self.tokenizer.do_lower_case,
        }
        write_json(folder / "sentence_bert_config.json", settings)

    def _save(self, folder: Path) -> None:
        """Let the library write its model."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # the run shows its own progress
        if self._pooler[0] is not None:
            self.model.pooler = self._pooler[0]
        self.model.config.output_hidden_states = self.saves_layers
        try:
            self.model.save_pretrained(folder)
        finally:
            self.model.config.output_hidden_states = False
            if self._pooler[0] is not None:
                self.model.pooler = None
