"""sbert_cli: train, run, evaluate and fetch sentence-embedding models.

Importing it loads nothing heavy: the public names arrive when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sbert_cli.encoder import SentenceEncoder
    from sbert_cli.engine.embedder import load

__all__ = ["SentenceEncoder", "__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "load":
        from sbert_cli.engine.embedder import load

        return load
    if name == "SentenceEncoder":
        from sbert_cli.encoder import SentenceEncoder

        return SentenceEncoder
    raise AttributeError(f"module 'sbert_cli' has no attribute '{name}'")
