"""Scale every sentence vector to length 1."""

from __future__ import annotations

from pathlib import Path

from torch.nn import functional as F

from sbert_cli.encoder.features import Features
from sbert_cli.encoder.part import Part


class Normalize(Part):
    """Sentence vectors x → x / max(‖x‖₂, 1e-12); a zero vector stays zero."""

    def forward(self, features: Features) -> Features:
        """Replace `features.sentence`."""
        features.sentence = F.normalize(features.sentence_vectors().float(), dim=1)
        return features

    @classmethod
    def read(cls, folder: Path, *, allow_bin: bool) -> Normalize:
        """Nothing is configured, and an empty folder does not survive a hub: it may be missing."""
        return cls()
