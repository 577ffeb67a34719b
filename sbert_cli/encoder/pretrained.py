"""Reads the transformer of a model folder: configuration, weights and tokenizer as data.

Nothing in the folder may choose code to run: keys that name code are dropped or refused.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError

from sbert_cli.encoder.json_file import read_json
from sbert_cli.encoder.tokenizer import TextTokenizer
from sbert_cli.encoder.transformer import Transformer
from sbert_cli.encoder.weights import check_finite, has_safe_weights, read_weights, write_weights
from sbert_cli.errors import ModelError, UnsafeError

# One name for each generation and architecture of sentence-transformers; tried in this order.
SETTINGS_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


def read_transformer(folder: Path, *, max_seq_length: int | None, allow_bin: bool) -> Transformer:
    """The transformer module whose files lie in `folder`.

    `max_seq_length` wins over what the folder says. Raises ModelError for an unreadable folder,
    UnsafeError for one that wants to run its own code.
    """
    from transformers import AutoTokenizer

    config = _read_config(folder)
    model = _read_model(folder, config, allow_bin=allow_bin)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"the tokenizer cannot be read: {reason}", where=str(folder)) from None
    except Exception as error:
        # The Rust side raises plain Exception for a malformed tokenizer.json.
        if type(error) is not Exception:
            raise
        raise ModelError(f"the tokenizer cannot be read: {error}", where=str(folder)) from None
    found = (folder / name for name in SETTINGS_FILES)
    settings: dict[str, Any] = next((read_json(path) for path in found if path.exists()), {})
    limit = max_seq_length or settings.get("max_seq_length")
    limit = limit or default_length(config, tokenizer.model_max_length)
    most = position_limit(config)
    if limit is not None and most is not None and limit > most:
        raise ModelError(
            f"max_seq_length {limit} is more than the model's {most} positions",
            where=str(folder),
            fix=f"model.max_seq_length={most}",
        )
    lower = bool(settings.get("do_lower_case"))
    text = TextTokenizer(tokenizer, max_seq_length=limit, do_lower_case=lower)
    return Transformer(model, text)


def position_limit(config: Any) -> int | None:
    """Longest text the position table holds; RoBERTa's keeps the first places for padding."""
    most = getattr(config, "max_position_embeddings", None)
    if most is None or most <= 0:
        return None
    if config.model_type in {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet"}:
        most -= (config.pad_token_id or 0) + 1
    return int(most)


def default_length(config: Any, model_max_length: int | None) -> int | None:
    """The limit where the folder says none: what tokenizer and positions both allow."""
    known = [n for n in (model_max_length, position_limit(config)) if n and n < 10**9]
    return int(min(known)) if known else None


def _read_config(folder: Path) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    values = read_json(folder / "config.json")
    if "auto_map" in values:
        raise UnsafeError(
            "this model wants to run code of its own ('auto_map')",
            where=str(folder / "config.json"),
            fix="use a model of an architecture that transformers itself has",
        )
    kind = values.pop("model_type", None)
    if kind not in CONFIG_MAPPING:
        raise ModelError(f"unknown model_type '{kind}'", where=str(folder / "config.json"))
    # Keys with a leading underscore steer the library, among them which kernels it fetches.
    clean = {key: value for key, value in values.items() if not key.startswith("_")}
    clean.pop("attn_implementation", None)
    return AutoConfig.for_model(kind, **clean)


def _read_model(folder: Path, config: Any, *, allow_bin: bool) -> Any:
    if has_safe_weights(folder):
        return _read_safe(folder, config, named=folder)
    # The library reads the old format in its own way: it only ever sees the converted weights.
    with TemporaryDirectory() as converted:
        write_weights(Path(converted), read_weights(folder, allow_bin=allow_bin))
        return _read_safe(Path(converted), config, named=folder)


def _read_safe(folder: Path, config: Any, *, named: Path) -> Any:
    from transformers import AutoModel
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # unused heads of pre-training are no news
    logging.disable_progress_bar()
    try:
        model, found = AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"the weights cannot be read: {reason}", where=str(named)) from None
    finally:
        logging.set_verbosity(verbosity)
    _check_complete(model, found, named)
    check_finite(dict(model.named_parameters()), named)
    return model.float().eval()


def _check_complete(model: Any, found: dict[str, Any], folder: Path) -> None:
    """Raises ModelError where weights are missing: the library would fill them at random."""
    missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{len(missing)} weights are missing, among them '{missing[0]}'",
            where=str(folder),
            fix="the weights belong to another architecture than config.json says",
        )
    if found["missing_keys"]:
        model.pooler = None
