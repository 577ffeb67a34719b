"""A baseline of another engine: the same model compiled by OpenVINO for bf16 on this CPU.

The same tokenizer, texts sorted by length, mean pooling and scaling as the model's folder says.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks import material
from tests.benchmarks.row import Missing

OPENVINO = "OpenVINO bf16"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class OpenVino:
    """MiniLM behind OpenVINO's runtime."""

    def __init__(self) -> None:
        if importlib.util.find_spec("openvino") is None:
            raise Missing("the package openvino (bench extra) is not installed")
        other = material.theirs()
        self.tokenizer = other.tokenizer
        self.length = other.max_seq_length
        self.request = _compile(other[0].auto_model).create_infer_request()

    def encode(self, texts: Sequence[str], size: int) -> NDArray[np.float32]:
        """Vectors in the order of the texts, `size` texts a batch."""
        rows = self.tokenizer(list(texts), truncation=True, max_length=self.length)["input_ids"]
        order = np.argsort([len(row) for row in rows], kind="stable")
        parts = [
            self._batch([rows[row] for row in order[start : start + size]])
            for start in range(0, len(order), size)
        ]
        vectors = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
        vectors[order] = np.concatenate(parts)
        return vectors

    def _batch(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        shape = len(rows), max(map(len, rows))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        states = self.request.infer([ids, mask, np.zeros_like(ids)], share_outputs=True)[0]
        # The sum points where the mean does, and only the direction is kept.
        sums = np.matmul(mask[:, None].astype(np.float32), states)[:, 0]
        vectors: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors


def _compile(model: Any) -> Any:
    """The model for any batch and length; Missing with the reason where it cannot be converted."""
    # Its converter would report each use to its makers; without this package it does not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    class Plain(torch.nn.Module):
        """Positional arguments in, one tensor out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any, types: Any) -> Any:
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]

    example = tuple(torch.ones(2, 7, dtype=torch.long) for _ in INPUTS)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, about shapes that stay as they are
            converted = openvino.convert_model(Plain().eval(), example_input=example)
    except (RuntimeError, ValueError, TypeError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Missing(f"OpenVINO does not convert the model: {reason}") from None
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino.compile_model(converted, "CPU", settings)
