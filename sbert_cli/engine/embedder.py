"""The encode loop: texts in, vectors out, in the same order, on the chosen device.

One object serves `encode`, `eval`, `search` and the evaluations during training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sbert_cli.encoder import SentenceEncoder, load_folder
from sbert_cli.engine.device import Compute, choose
from sbert_cli.engine.packing import pack, plan
from sbert_cli.engine.settings import EngineSettings
from sbert_cli.errors import NumericalError, UsageError
from sbert_cli.hub import find_model

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Output:
    """What an embedder does to every vector, and what it puts before every text."""

    normalize: bool = False  # scale to length 1, after truncation
    truncate_dim: int | None = None  # keep only the first dimensions
    prompt: str = ""


@dataclass(slots=True)
class Count:
    """What went through an embedder so far."""

    texts: int = 0
    tokens: int = 0
    truncated: int = 0  # texts cut at the model's limit


class Embedder:
    """A sentence encoder on a device, with everything its vectors depend on."""

    def __init__(
        self, encoder: SentenceEncoder, compute: Compute, output: Output | None = None
    ) -> None:
        self.output = output or Output()
        size = self.output.truncate_dim
        if size is not None and not 0 < size <= encoder.dim:
            raise UsageError(
                f"truncate_dim must lie from 1 to the model's {encoder.dim} dimensions, not {size}",
                where=f"config key truncate_dim={size}",
            )
        self.encoder = encoder.to(compute.device)
        self.compute = compute
        self.count = Count()
        self._prompt_length = encoder.tokenizer.prompt_length(self.output.prompt)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.output.truncate_dim or self.encoder.dim

    def encode(
        self, texts: Sequence[str], advance: Callable[[int], None] = lambda texts: None
    ) -> Vectors:
        """Vectors [texts, dim] in the order of `texts`; equal texts are computed once.

        `advance` hears how many texts each batch finished. Raises NumericalError naming the
        first text whose vector is not finite.
        """
        prompt = self.output.prompt
        index: dict[str, int] = {}
        inverse = np.fromiter(
            (index.setdefault(prompt + text, len(index)) for text in texts), np.int64, len(texts)
        )
        copies = np.bincount(inverse, minlength=len(index))
        tokens = self.encoder.tokenizer(list(index))
        unique = np.empty((len(index), self.dim), dtype=np.float32)
        training = self.encoder.training
        self.encoder.eval()
        with torch.inference_mode():
            # A text without a token still fills a row of every later module.
            for rows in plan(np.maximum(tokens.lengths, 1), self.compute.token_budget):
                features, order = pack(
                    tokens, rows, device=self.compute.device, prompt_length=self._prompt_length
                )
                with self.compute.autocast():
                    vectors = self.encoder(features)
                unique[rows[order]] = self._finish(vectors).cpu().numpy()
                advance(int(copies[rows].sum()))
        self.encoder.train(training)
        self._check(unique, inverse, texts)
        self.count.texts += len(texts)
        self.count.tokens += int((tokens.lengths * copies).sum())
        self.count.truncated += int((tokens.truncated * copies).sum())
        return unique[inverse] if len(index) < len(texts) else unique

    def _finish(self, vectors: torch.Tensor) -> torch.Tensor:
        vectors = vectors.float()[:, : self.dim]
        return torch.nn.functional.normalize(vectors, dim=1) if self.output.normalize else vectors

    def _check(self, unique: Vectors, inverse: NDArray[np.int64], texts: Sequence[str]) -> None:
        finite = np.asarray(np.isfinite(unique).all(axis=1))
        if not finite.all():
            row = int(np.flatnonzero(~finite[inverse])[0])
            raise NumericalError(
                f"the vector of text {row + 1} is not finite",
                where=f"text '{texts[row][:60]}'",
                fix="engine.precision=fp32, or check the model's weights",
            )


def load(
    name: str | Path, *, device: str = "auto", precision: str = "auto", normalize: bool = False
) -> Embedder:
    """An embedder by folder, catalogue name or hub id: `load("all-MiniLM-L6-v2").encode(texts)`.

    Downloads what is not there yet. Raises UsageError for a folder that says nothing about
    pooling.
    """
    settings = EngineSettings(device, precision, threads=None, token_budget="auto")  # type: ignore[arg-type]
    encoder = load_folder(find_model(str(name), offline=False))
    if not encoder.is_whole:
        raise UsageError(f"'{name}' is a bare encoder without pooling", where=str(name))
    return Embedder(encoder, choose(settings), Output(normalize=normalize))
