"""Builds an encoder from the nodes `model`, `pooling` and `head` of a configuration.

Shared by the commands; the only place where a model's name meets the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sbert_cli import choices, hub
from sbert_cli.config import bind, pick, plain
from sbert_cli.console import note
from sbert_cli.encoder import (
    POOLINGS,
    Dense,
    Dropout,
    LayerNorm,
    Normalize,
    Part,
    Pooling,
    SentenceEncoder,
    Transformer,
    WeightedLayerPooling,
    WKPooling,
    load_folder,
)
from sbert_cli.encoder.chain import fault, width_of
from sbert_cli.encoder.pooling import in_order
from sbert_cli.encoder.tiny import build_tiny
from sbert_cli.engine.device import Compute, choose
from sbert_cli.engine.embedder import Embedder, Output
from sbert_cli.engine.settings import EngineSettings
from sbert_cli.errors import UsageError, listed

Node = Mapping[str, Any]


def pretrained(
    *, path: str, max_seq_length: int | None, allow_bin: bool, legacy_length: bool, offline: bool
) -> SentenceEncoder:
    """The encoder of a folder, a catalogue name or a hub id."""
    folder = hub.find_model(path, offline=offline)
    return load_folder(
        folder,
        max_seq_length=max_seq_length,
        allow_bin=allow_bin,
        legacy_length=legacy_length,
    )


def t5(
    *,
    path: str,
    max_seq_length: int | None,
    allow_bin: bool,
    legacy_length: bool,
    task_identifier: str,
    offline: bool,
) -> SentenceEncoder:
    """The encoder of a T5 with `task_identifier` put before every text."""
    encoder = pretrained(
        path=path,
        max_seq_length=max_seq_length,
        allow_bin=allow_bin,
        legacy_length=legacy_length,
        offline=offline,
    )
    first = encoder.chain[0]
    if isinstance(first, Transformer):
        first.tokenizer.prefix = task_identifier
    return encoder


def weighted_layers(
    *, layer_start: int, in_features: int, encoder: SentenceEncoder
) -> WeightedLayerPooling:
    """The average of the layers of the encoder's transformer."""
    first = encoder.chain[0]
    if not isinstance(first, Transformer):
        raise UsageError(
            "weighted layers need a transformer before them",
            where="config key model.modules",
            fix="model=bert_weighted_layers",
        )
    depth = int(first.model.config.num_hidden_layers)
    return WeightedLayerPooling(in_features, depth, layer_start)


MODELS: dict[str, Callable[..., SentenceEncoder]] = {
    "pretrained": pretrained,
    "t5": t5,
    "tiny": build_tiny,
}
# What `model.modules` and `head.modules` may hold, by `name`. Beside its keys a builder may ask for
# in_features, the width of the vectors before it; encoder, the chain so far; offline.
MODULES: dict[str, Callable[..., Part]] = {
    "dense": Dense,
    "dropout": Dropout,
    "layer_norm": LayerNorm,
    "normalize": Normalize,
    "weighted_layers": weighted_layers,
}


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
    node = dict(model)
    inner = node.pop("modules", None) or {}
    encoder = pick(
        MODELS, node, "model", texts=texts, seed=config.get("seed", 0), offline=config["offline"]
    )
    own = encoder.pooling
    _insert(encoder, inner, "model", config, place=list(encoder.chain).index(own) if own else None)
    pooling = config["pooling"]
    if pooling.get("mode") == "wkpooling":
        _place(encoder, bind(wk_pooling, {"encoder": encoder, **pooling}, where="pooling"))
    else:
        _pool(encoder, bind(pooling_choice, pooling, where="pooling"), config, bare)
    _insert(encoder, config["head"].get("modules") or {}, "head", config)
    if wrong := fault(list(encoder.chain), whole=True):
        raise UsageError(wrong, where="config keys model, pooling, head", fix="see --cfg job")
    note(f"model {model.get('path', model['name'])}: {describe(encoder)}")
    return encoder


def _insert(
    encoder: SentenceEncoder, nodes: Node, group: str, config: Node, *, place: int | None = None
) -> None:
    """Build `<group>.modules` and put them at `place` of the chain, else at its end."""
    at = len(encoder.chain) if place is None else place
    for name, node in nodes.items():
        module = pick(
            MODULES,
            _with_defaults(node),
            f"{group}.modules.{name}",
            in_features=width_of(list(encoder.chain)[:at]),
            encoder=encoder,
            offline=config["offline"],
        )
        if wrong := fault([*encoder.chain[:at], module], whole=False):
            where = f"config key {group}.modules.{name}"
            raise UsageError(wrong, where=where, fix=f"~{group}.modules.{name} leaves it out")
        encoder.chain.insert(at, module)
        at += 1


def _with_defaults(node: Node) -> Node:
    """A module's node with the keys it lacks filled from the choice of `module` of its name."""
    from omegaconf import OmegaConf

    path = choices.folder("configs") / "module" / f"{node.get('name')}.yaml"
    if node.get("name") not in MODULES or not path.exists():
        return node
    return {**plain(OmegaConf.load(path)), **node}


def wk_pooling(
    *, mode: str, layer_start: int, context_window_size: int, encoder: SentenceEncoder
) -> WKPooling:
    """The node `pooling` of SBERT-WK."""
    return WKPooling(width_of([encoder.chain[0]]), layer_start, context_window_size)


def pooling_choice(*, mode: str | list[str], include_prompt: bool) -> tuple[list[str], bool]:
    """The node `pooling`: one mode or several, in the order in which they are concatenated."""
    modes = [mode] if isinstance(mode, str) else mode
    return (list(in_order(modes)) if set(modes) <= set(POOLINGS) else modes), include_prompt


def _pool(
    encoder: SentenceEncoder, choice: tuple[list[str], bool], config: Node, bare: str | None
) -> None:
    modes, include_prompt = choice
    own = encoder.pooling
    if own is None and encoder.is_whole and modes in (["auto"], ["none"]):
        return
    if modes == ["auto"] and own is not None:
        modes, include_prompt = list(own.modes), own.include_prompt
    if modes == ["auto"]:
        modes = [_bare_mode(config, bare)]
    if modes == ["none"]:
        raise UsageError(
            "pooling=none needs modules that give a sentence vector themselves",
            where="config key pooling=none",
            fix=f"one of: {listed(POOLINGS)}",
        )
    chain = list(encoder.chain)
    before = chain[: chain.index(own)] if own else chain
    _place(encoder, Pooling(width_of(before), modes, include_prompt))


def _place(encoder: SentenceEncoder, pooling: Part) -> None:
    """Put a pooling where the encoder's own is, else at the end of the chain."""
    chain, own = list(encoder.chain), encoder.pooling
    place = chain.index(own) if own else len(chain)
    if wrong := fault([*chain[:place], pooling], whole=False):
        raise UsageError(wrong, where="config key pooling", fix="pooling=none")
    if own is None:
        encoder.chain.append(pooling)
        return
    dim = width_of([pooling])
    if dim != own.dim and any(hasattr(module, "dim") for module in chain[place + 1 :]):
        raise UsageError(
            f"{pooling.describe()} gives {dim} dimensions, the model's next module takes {own.dim}",
            where="config key pooling",
            fix="pooling=auto keeps the model's own",
        )
    encoder.chain[place] = pooling


def _bare_mode(config: Node, bare: str | None) -> str:
    """The pooling of an encoder that says nothing about it; raises UsageError without `bare`."""
    path = config["model"].get("path", "this model")
    if bare is None:
        raise UsageError(
            f"'{path}' is a bare encoder: its folder says nothing about pooling",
            where="config key pooling=auto",
            fix=f"pooling=mean, or one of: {listed(POOLINGS)}",
        )
    note(f"'{path}' says nothing about pooling: {bare} is used; pooling=... changes it")
    return bare


def describe(encoder: SentenceEncoder) -> str:
    """The chain in words: `transformer → mean pooling → normalize, 384 dimensions, ...`."""
    names = [module.describe() for module in encoder.chain if isinstance(module, Part)]
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
