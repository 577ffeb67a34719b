"""Scale every sentence vector to length 1."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn import functional as F

from sbert_cli.encoder.features import Features


class Normalize(nn.Module):
    """Sentence vectors x → x / max(‖x‖₂, 1e-12); a zero vector stays zero."""

    def forward(self, features: Features) -> Features:
        """Replace `features.sentence`."""
        features.sentence = F.normalize(features.sentence_vectors().float(), dim=1)
        return features

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Normalize:
        """Nothing is configured; the folder may even be missing."""
        return cls()

    def to_config(self) -> dict[str, Any]:
        """Nothing to write."""
        return {}
