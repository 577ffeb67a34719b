"""Builds an encoder from the nodes `model`, `pooling` and `head` of a configuration.

Shared by the commands; the only place where a model's name meets the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sbert_cli import hub
from sbert_cli.config import bind, pick
from sbert_cli.console import note
from sbert_cli.encoder import HEADS, POOLINGS, Pooling, SentenceEncoder, Transformer, load_folder
from sbert_cli.encoder.pooling import in_order
from sbert_cli.encoder.tiny import build_tiny
from sbert_cli.engine.device import Compute, choose
from sbert_cli.engine.embedder import Embedder, Output
from sbert_cli.engine.settings import EngineSettings
from sbert_cli.errors import UsageError, listed

Node = Mapping[str, Any]


def pretrained(
    *, path: str, max_seq_length: int | None, allow_bin: bool, offline: bool
) -> SentenceEncoder:
    """The encoder of a folder, a catalogue name or a hub id."""
    folder = hub.find_model(path, offline=offline)
    return load_folder(folder, max_seq_length=max_seq_length, allow_bin=allow_bin)


MODELS: dict[str, Callable[..., SentenceEncoder]] = {"pretrained": pretrained, "tiny": build_tiny}


def build_compute(config: Node) -> Compute:
    """Device, precision and threads as the node `engine` asks, told to the user."""
    compute = choose(bind(EngineSettings, config["engine"], where="engine"))
    note(", ".join(compute.reasons))
    return compute


def build_encoder(
    config: Node, *, bare: str | None, texts: Sequence[str] | None = None
) -> SentenceEncoder:
    """The chain model + pooling + head.

    `bare` is the pooling for a folder that says nothing about pooling; None refuses it.
    `texts` train the vocabulary of a model that starts from nothing.
    """
    model = config["model"]
    if model.get("name") == "tiny" and texts is None:
        raise UsageError(
            "model=tiny has random weights: it must be trained first",
            where="config key model=tiny",
            fix="sbert train demo, then model=runs/train/<run>/best",
        )
    encoder = pick(
        MODELS,
        model,
        "model",
        texts=texts,
        seed=config.get("seed", 0),
        offline=config["offline"],
    )
    _pool(encoder, bind(pooling_choice, config["pooling"], where="pooling"), config, bare)
    modules = config["head"].get("modules") or {}
    for name, node in modules.items():
        encoder.chain.append(pick(HEADS, node, f"head.modules.{name}", in_features=encoder.dim))
    note(f"model {model.get('path', model['name'])}: {describe(encoder)}")
    return encoder


def pooling_choice(*, mode: str | list[str], include_prompt: bool) -> tuple[list[str], bool]:
    """The node `pooling`: one mode or several, in the order in which they are concatenated."""
    modes = [mode] if isinstance(mode, str) else mode
    return (list(in_order(modes)) if set(modes) <= set(POOLINGS) else modes), include_prompt


def _pool(
    encoder: SentenceEncoder, choice: tuple[list[str], bool], config: Node, bare: str | None
) -> None:
    modes, include_prompt = choice
    own = encoder.pooling
    if modes == ["auto"] and own is not None:
        return
    if modes == ["auto"]:
        path = config["model"].get("path", "this model")
        if bare is None:
            raise UsageError(
                f"'{path}' is a bare encoder: its folder says nothing about pooling",
                where="config key pooling=auto",
                fix=f"pooling=mean, or one of: {listed(POOLINGS)}",
            )
        note(f"'{path}' says nothing about pooling: {bare} is used; pooling=... changes it")
        modes = [bare]
    if modes == ["none"]:
        raise UsageError(
            "pooling=none needs modules that give a sentence vector themselves",
            where="config key pooling=none",
            fix=f"one of: {listed(POOLINGS)}",
        )
    first = encoder.chain[0]
    assert isinstance(first, Transformer)
    pooling = Pooling(first.dim, modes, include_prompt)
    if own is None:
        encoder.chain.append(pooling)
        return
    place = list(encoder.chain).index(own)
    if pooling.dim != own.dim and any(hasattr(m, "dim") for m in encoder.chain[place + 1 :]):
        raise UsageError(
            f"pooling {'+'.join(modes)} gives {pooling.dim} dimensions, "
            f"the model's next module takes {own.dim}",
            where="config key pooling",
            fix="pooling=auto keeps the model's own",
        )
    encoder.chain[place] = pooling


def describe(encoder: SentenceEncoder) -> str:
    """The chain in words: `transformer → mean pooling → normalize, 384 dimensions, ...`."""
    names = []
    for module in encoder.chain:
        if isinstance(module, Pooling):
            names.append("+".join(module.modes) + " pooling")
        else:
            names.append(type(module).__name__.lower())
    limit = encoder.max_seq_length
    most = f"at most {limit} tokens a text" if limit else "texts of any length"
    return f"{' → '.join(names)}, {encoder.dim} dimensions, {most}"


def build_embedder(config: Node) -> Embedder:
    """The embedder of `encode` and `eval`: encoder, device and what happens to the vectors."""
    compute = build_compute(config)
    encoder = build_encoder(config, bare=None)
    prompt = encoder.prompt(config["prompt"], config["prompt_name"])
    if prompt:
        note(f"prompt put before every text: '{prompt}'")
    size = config["truncate_dim"]
    return Embedder(encoder, compute, Output(config["normalize"], size, prompt))


def truncation(embedder: Embedder) -> str:
    """How many texts were cut, in words."""
    count = embedder.count
    limit = embedder.encoder.max_seq_length
    if not count.truncated:
        return "no text was cut"
    share = 100 * count.truncated / count.texts
    return f"{count.truncated:,} of {count.texts:,} texts ({share:.1f} %) cut at {limit} tokens"
