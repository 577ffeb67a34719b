"""A linear layer with an activation on the sentence vector."""

from __future__ import annotations

from typing import Any

from torch import nn

from sbert_cli.encoder.features import Features
from sbert_cli.encoder.part import Part
from sbert_cli.errors import ModelError, listed, unknown

# Saved models name a class by its path; only the last part counts, and only these exist.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}


class Dense(Part):
    """Sentence vectors [rows, in_features] → act(x Wᵀ + b) [rows, out_features]."""

    def __init__(
        self, in_features: int, out_features: int | None, bias: bool, activation: str
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            where = f"config key head.modules.dense.activation={activation}"
            raise unknown("activation", activation, ACTIVATIONS, where)
        out_features = in_features if out_features is None else out_features
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation = ACTIVATIONS[activation]()

    @property
    def dim(self) -> int:
        """Width of the sentence vectors."""
        return self.linear.out_features

    @property
    def in_dim(self) -> int:
        """Width of the vectors it takes."""
        return self.linear.in_features

    def describe(self) -> str:
        """The module in words."""
        return f"dense {self.dim} {type(self.activation).__name__.lower()}"

    def forward(self, features: Features) -> Features:
        """Replace `features.sentence`."""
        vectors = features.sentence_vectors().to(self.linear.weight.dtype)
        features.sentence = self.activation(self.linear(vectors)).float()
        return features

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Dense:
        """Read the `config.json` of a dense module; its weights come after.

        Raises ModelError for an activation or an option that this class does not have.
        """
        path = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
        known = {kind.__name__: name for name, kind in ACTIVATIONS.items()}
        name = path.rsplit(".", 1)[-1]
        if name not in known or config.get("use_residual"):
            what = f"activation '{path}'" if name not in known else "a residual connection"
            raise ModelError(
                f"a dense module uses {what}, which sbert does not have",
                where="config.json of the dense module",
                fix=f"activations: {listed(known)}",
            )
        bias = bool(config.get("bias", True))
        return cls(int(config["in_features"]), int(config["out_features"]), bias, known[name])

    def to_config(self) -> dict[str, Any]:
        """The `config.json` that sentence-transformers reads."""
        kind = type(self.activation)
        return {
            "in_features": self.linear.in_features,
            "out_features": self.linear.out_features,
            "bias": self.linear.bias is not None,
            "activation_function": f"{kind.__module__}.{kind.__qualname__}",
        }
