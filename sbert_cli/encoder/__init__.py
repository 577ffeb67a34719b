"""Sentence encoders: a chain of modules, and the folder it is read from and written to."""

from sbert_cli.encoder.dense import Dense
from sbert_cli.encoder.features import Features, Run, runs_of
from sbert_cli.encoder.folder import load_folder, save_folder
from sbert_cli.encoder.normalize import Normalize
from sbert_cli.encoder.pooling import POOLINGS, Pooling
from sbert_cli.encoder.sentence_encoder import SentenceEncoder
from sbert_cli.encoder.tokenizer import Tokens
from sbert_cli.encoder.transformer import Transformer

# Modules that a `head` may append, by the `name` of their YAML.
HEADS = {"dense": Dense, "normalize": Normalize}

__all__ = [
    "HEADS",
    "POOLINGS",
    "Dense",
    "Features",
    "Normalize",
    "Pooling",
    "Run",
    "SentenceEncoder",
    "Tokens",
    "Transformer",
    "load_folder",
    "runs_of",
    "save_folder",
]
