"""The weights of a `Bert` in the files of a model folder, under their published names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sbert_cli.encoder.bert import Bert
from sbert_cli.encoder.bert_config import BertConfig
from sbert_cli.encoder.json_file import write_json
from sbert_cli.encoder.weights import read_weights, write_weights
from sbert_cli.errors import ModelError


def read_bert(folder: Path, config: BertConfig, *, allow_bin: bool) -> Bert:
    """The encoder of a folder in fp32, weights of heads left out; the pooler is kept for saving.

    Raises ModelError for weights that are missing or do not fit.
    """
    tensors = _renamed(read_weights(folder, allow_bin=allow_bin), config.family.prefix)
    model = Bert(config)
    names = model.state_dict().keys()
    if missing := sorted(names - tensors.keys()):
        raise ModelError(
            f"{len(missing)} weights are missing, among them '{missing[0]}'",
            where=str(folder),
            fix="the weights belong to another architecture than config.json says",
        )
    for name in names:
        has, fits = tuple(tensors[name].shape), tuple(model.get_parameter(name).shape)
        if has != fits:
            raise ModelError(
                f"the weights cannot be read: '{name}' is {has}, config.json says {fits}",
                where=str(folder),
            )
    model.load_state_dict({name: _own(tensors[name]) for name in names}, assign=True)
    model.pooler = {n: _own(t) for n, t in tensors.items() if n.startswith("pooler.")}
    return model.eval()


def save_bert(model: Bert, folder: Path) -> None:
    """Write weights and configuration as the library reads them."""
    write_weights(folder, {**model.state_dict(), **model.pooler})
    write_json(folder / "config.json", model.config.to_json())


def _own(tensor: Tensor) -> Tensor:
    """In fp32 and in memory: the file is mapped, and whoever writes into it would change us."""
    return tensor.to(torch.float32, copy=True)


def _renamed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Names without the prefix of a model with a head, and without TensorFlow's words."""
    found = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix(f"{prefix}.")
        if plain.endswith(("LayerNorm.gamma", "LayerNorm.beta")):
            plain = plain.replace(".gamma", ".weight").replace(".beta", ".bias")
        found[plain] = tensor
    return found
