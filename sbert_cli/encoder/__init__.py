"""Sentence encoders: a chain of modules, and the folder it is read from and written to."""

from sbert_cli.encoder.bow import BoW
from sbert_cli.encoder.cnn import CNN
from sbert_cli.encoder.dense import Dense
from sbert_cli.encoder.dropout import Dropout
from sbert_cli.encoder.features import Features, Run, runs_of
from sbert_cli.encoder.folder import load_folder, save_folder
from sbert_cli.encoder.layer_norm import LayerNorm
from sbert_cli.encoder.lstm import LSTM
from sbert_cli.encoder.normalize import Normalize
from sbert_cli.encoder.part import Part
from sbert_cli.encoder.pooling import POOLINGS, Pooling
from sbert_cli.encoder.sentence_encoder import SentenceEncoder
from sbert_cli.encoder.static_embedding import StaticEmbedding
from sbert_cli.encoder.tokenizer import Tokenizer, Tokens
from sbert_cli.encoder.transformer import Transformer
from sbert_cli.encoder.weighted_layers import WeightedLayerPooling
from sbert_cli.encoder.wk_pooling import WKPooling
from sbert_cli.encoder.word_embeddings import WordEmbeddings
from sbert_cli.encoder.word_weights import WordWeights

__all__ = [
    "CNN",
    "LSTM",
    "POOLINGS",
    "BoW",
    "Dense",
    "Dropout",
    "Features",
    "LayerNorm",
    "Normalize",
    "Part",
    "Pooling",
    "Run",
    "SentenceEncoder",
    "StaticEmbedding",
    "Tokenizer",
    "Tokens",
    "Transformer",
    "WKPooling",
    "WeightedLayerPooling",
    "WordEmbeddings",
    "WordWeights",
    "load_folder",
    "runs_of",
    "save_folder",
]
