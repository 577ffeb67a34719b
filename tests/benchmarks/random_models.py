"""Model folders with random weights of a known shape, as sentence-transformers saves them.

For rows whose real weights are not on every machine: speed does not depend on the weights.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import material

SMALL = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
         "intermediate_size": 1_536}  # fmt: skip
# One layer: a million texts go through it in minutes, and the vectors are as wide as MiniLM's.
NARROW = {**SMALL, "num_hidden_layers": 1, "intermediate_size": 384}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3_072}  # fmt: skip


@functools.cache
def small_mpnet() -> Path:
    """MPNet as small as MiniLM, mean pooling."""
    return build("mpnet", SMALL, "mean")


@functools.cache
def small_cls() -> Path:
    """BERT as small as MiniLM whose first token stands for the text."""
    return build("bert", SMALL, "cls")


@functools.cache
def narrow() -> Path:
    """One layer of BERT, for what is not about the model."""
    return build("bert", NARROW, "mean")


@functools.cache
def bert_base() -> Path:
    """BERT base, mean pooling."""
    return build("bert", BASE, "mean")


def build(model_type: str, shape: dict[str, int], pooling: str) -> Path:
    """A folder with MiniLM's word pieces, gone when this process ends."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(material.model_folder())
    settings: dict[str, Any] = {
        **shape, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    place = Path(tempfile.mkdtemp(prefix="benchmark-model-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    with torch.random.fork_rng():
        torch.manual_seed(material.SEED)
        model = AutoModel.from_config(AutoConfig.for_model(model_type, **settings))
    bare = place / "bare"
    model.save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    first = Transformer(str(bare), max_seq_length=material.LONGEST)
    chain = [first, Pooling(shape["hidden_size"], pooling)]
    SentenceTransformer(modules=chain, device="cpu").save(
        str(place / "whole"), create_model_card=False
    )
    return place / "whole"
