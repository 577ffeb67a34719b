"""The weights of an encoder laid out for inference: fused, in one precision, packed for the CPU.

Computes the same as `Bert` without gradients, with fewer and larger products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbert_cli.encoder.attention import self_attention
from sbert_cli.encoder.features import Run, firsts
from sbert_cli.encoder.product import Product

if TYPE_CHECKING:
    from sbert_cli.encoder.bert import Bert, Layer


Pair = tuple[Tensor, Tensor]


class FrozenLayer(NamedTuple):
    """One layer; query, key and value are one product."""

    qkv: Product
    attended: Product
    attended_norm: Pair
    inner: Product
    outer: Product
    outer_norm: Pair


# The attention's result, the layer's input, its weights, epsilon → its output.
Finish = Callable[[Tensor, Tensor, FrozenLayer, float], Tensor]


class Frozen:
    """An encoder whose weights do not change while it is used."""

    def __init__(self, model: Bert) -> None:
        self.model = model
        # Where the parameters are kept: one may be replaced by another.
        self._places = [
            (module._parameters, name) for module in model.modules() for name in module._parameters
        ]
        self.version = self._version()
        self.dtype = _dtype(model)
        self.eps = model.config.layer_norm_eps
        self.project = None
        if model.config.embedding_size != model.config.hidden_size:
            self.project = Product([model.embeddings_project], self.dtype)
        self.compiled = model.compiled
        self._finish = compiled() if model.compiled else finish
        with torch.no_grad():
            self.layers = [self._freeze(layer) for layer in model.layers]

    def _freeze(self, layer: Layer) -> FrozenLayer:
        def product(*parts: nn.Linear, activation: str = "") -> Product:
            return Product(parts, self.dtype, activation, plain=self.compiled)

        return FrozenLayer(
            product(layer.query, layer.key, layer.value),
            product(layer.attended),
            self._norm(layer.attended_norm),
            product(layer.inner, activation=self.model.config.hidden_act),
            product(layer.outer),
            self._norm(layer.outer_norm),
        )

    def holds(self, model: Bert) -> bool:
        """Whether the weights, and the precision asked for, are still the same."""
        same = self.dtype == _dtype(model) and self.compiled == model.compiled
        return same and self.version == self._version()

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
                x = self._finish(a, x, layer, self.eps)
                if layers:
                    states.append(x)
        return [x, *states] if layers else [x]

    def _version(self) -> list[tuple[int, int]]:
        """Changes with every change of a parameter that torch counts, and with every other place.

        Torch counts neither the steps of fused optimizers nor changes through `.data`.
        """
        parameters = (place[name] for place, name in self._places)
        return [
            (p.data_ptr(), 0 if p.is_inference() else p._version)
            for p in parameters
            if p is not None
        ]

    def _norm(self, norm: nn.LayerNorm) -> Pair:
        return norm.weight.detach().to(self.dtype), norm.bias.detach().to(self.dtype)


def finish(a: Tensor, x: Tensor, layer: FrozenLayer, eps: float) -> Tensor:
    """What a layer does after its attention `a` of its input `x`."""
    size = x.shape[-1:]
    x = F.layer_norm(layer.attended(a, plus=x), size, *layer.attended_norm, eps)
    return F.layer_norm(layer.outer(layer.inner(x), plus=x), size, *layer.outer_norm, eps)


@cache
def compiled() -> Finish:
    """`finish` compiled once for all layers and any number of tokens; torch keeps it on disk."""

    def flat(
        a: Tensor, x: Tensor, weights: tuple[Pair, ...], eps: float, activation: str
    ) -> Tensor:
        attended, attended_norm, inner, outer, outer_norm = weights
        layer = FrozenLayer(
            Product.of(attended),  # in the place of the product before the attention
            Product.of(attended), attended_norm, Product.of(inner, activation),
            Product.of(outer), outer_norm,
        )  # fmt: skip
        return finish(a, x, layer, eps)

    inner_call: Any = torch.compile(flat, dynamic=True)

    def call(a: Tensor, x: Tensor, layer: FrozenLayer, eps: float) -> Tensor:
        weights = (
            layer.attended.both, layer.attended_norm, layer.inner.both, layer.outer.both,
            layer.outer_norm,
        )  # fmt: skip
        done: Tensor = inner_call(a, x, weights, eps, layer.inner.activation)
        return done

    return call


def _dtype(model: Bert) -> torch.dtype:
    """The precision of the products: that of an autocast around the call, else the weights'."""
    weight: Tensor = model.embeddings.LayerNorm.weight
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
