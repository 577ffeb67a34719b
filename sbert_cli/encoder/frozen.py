"""The weights of an encoder laid out for inference: fused, in one precision, packed for the CPU.

Computes the same as `Bert` without gradients, with fewer and larger products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbert_cli.encoder.attention import self_attention
from sbert_cli.encoder.features import Run, firsts
from sbert_cli.encoder.product import Product

if TYPE_CHECKING:
    from sbert_cli.encoder.bert import Bert


class FrozenLayer(NamedTuple):
    """One layer; query, key and value are one product."""

    qkv: Product
    attended: Product
    attended_norm: tuple[Tensor, Tensor]
    inner: Product
    outer: Product
    outer_norm: tuple[Tensor, Tensor]


class Frozen:
    """An encoder whose weights do not change while it is used."""

    def __init__(self, model: Bert) -> None:
        self.model = model
        self.parameters = tuple(model.parameters())
        self.version = self._version()
        self.dtype = _dtype(model)
        self.eps = model.config.layer_norm_eps
        self.project = None
        if model.config.embedding_size != model.config.hidden_size:
            self.project = Product([model.embeddings_project], self.dtype)
        act = model.config.hidden_act
        with torch.no_grad():
            self.layers = [
                FrozenLayer(
                    Product([layer.query, layer.key, layer.value], self.dtype),
                    Product([layer.attended], self.dtype),
                    self._norm(layer.attended_norm),
                    Product([layer.inner], self.dtype, act),
                    Product([layer.outer], self.dtype),
                    self._norm(layer.outer_norm),
                )
                for layer in model.layers
            ]

    def holds(self, model: Bert) -> bool:
        """Whether the weights, and the precision asked for, are still the same."""
        return self.dtype == _dtype(model) and self.version == self._version()

    def forward(self, ids: Tensor, runs: Sequence[Run], *, layers: bool, cls: bool) -> list[Tensor]:
        """As `Bert.forward`, in `dtype`."""
        model = self.model
        with torch.autocast(ids.device.type, enabled=False):
            x = model.embeddings(ids, runs).to(self.dtype)
            if self.project:
                x = self.project(x)
            bias = [b.to(self.dtype) for b in model.bias.of(runs)] if model.bias else None
            states = [x]
            for layer in self.layers:
                a = self_attention(layer.qkv(x), runs, model.config.num_attention_heads, bias=bias)
                if cls and layer is self.layers[-1]:
                    a, x = firsts(a, runs), firsts(x, runs)
                x = self._normed(layer.attended(a, plus=x), layer.attended_norm)
                x = self._normed(layer.outer(layer.inner(x), plus=x), layer.outer_norm)
                if layers:
                    states.append(x)
        return [x, *states] if layers else [x]

    def _version(self) -> list[tuple[int, int]]:
        """Changes with every change of a parameter in place, and with every move."""
        return [(p.data_ptr(), p._version) for p in self.parameters]

    def _norm(self, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
        return norm.weight.detach().to(self.dtype), norm.bias.detach().to(self.dtype)

    def _normed(self, x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], *norm, self.eps)


def _dtype(model: Bert) -> torch.dtype:
    """The precision of the products: that of an autocast around the call, else the weights'."""
    weight: Tensor = model.layers[0].inner.weight
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
