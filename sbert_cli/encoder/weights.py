"""Weight files: safetensors, and pytorch_model.bin only where the user allows it.

The one place that may call torch.load, and only with weights_only.
"""

from __future__ import annotations

import math
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sbert_cli.encoder.json_file import read_json
from sbert_cli.errors import ModelError, UnsafeError

SAFE = "model.safetensors"
BIN = "pytorch_model.bin"


def has_safe_weights(folder: Path) -> bool:
    """Whether the folder holds safetensors weights, whole or in shards."""
    return (folder / SAFE).exists() or (folder / f"{SAFE}.index.json").exists()


def read_weights(folder: Path, *, allow_bin: bool) -> dict[str, Tensor]:
    """The tensors of a module's folder, on the CPU.

    Raises UnsafeError for a folder with only a .bin file unless `allow_bin`; ModelError for a
    missing, broken or non-finite file.
    """
    unsafe = folder / BIN
    tensors: dict[str, Tensor] = {}
    if has_safe_weights(folder):
        for safe in _safe_files(folder):
            try:
                tensors.update(load_file(safe))
            except (SafetensorError, OSError, ValueError) as error:
                raise ModelError(f"weights cannot be read: {error}", where=str(safe)) from None
    elif unsafe.exists():
        tensors = _read_bin(unsafe, allow_bin=allow_bin)
    else:
        raise ModelError("no weights here", where=str(folder), fix=f"expected {SAFE}")
    check_finite(tensors, folder)
    return tensors


def _safe_files(folder: Path) -> list[Path]:
    """The safetensors file, or those that the index of a model in shards names."""
    if (folder / SAFE).exists():
        return [folder / SAFE]
    path = folder / f"{SAFE}.index.json"
    try:
        names = sorted(set(read_json(path)["weight_map"].values()))
        inside = all(Path(name).name == name for name in names)
    except (KeyError, TypeError, AttributeError):
        raise ModelError("not an index of weight files", where=str(path)) from None
    if not inside:
        raise UnsafeError("a weight file lies outside the folder", where=str(path))
    return [folder / name for name in names]


def _read_bin(path: Path, *, allow_bin: bool) -> dict[str, Tensor]:
    if not allow_bin:
        raise UnsafeError(
            f"this model has only '{path.name}', a format that can carry code",
            where=str(path),
            fix="use a model with model.safetensors, or add model.allow_bin=true if you trust it",
        )
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        raise ModelError(
            f"weights cannot be read: {str(error).splitlines()[0]}", where=str(path)
        ) from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ModelError("not a table of tensors", where=str(path))
    return tensors


def check_finite(tensors: dict[str, Tensor], folder: Path) -> None:
    """Raises ModelError naming the first tensor that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # A sum is finite only where all numbers are; it costs a tenth of looking at each of them.
        if not math.isfinite(tensor.detach().sum()) and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"tensor '{name}' holds NaN or infinity", where=str(folder))


def write_weights(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors into a module's folder."""
    # Tied tensors share memory, which the format refuses: each is written as its own copy.
    copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    save_file(copies, folder / SAFE, metadata={"format": "pt"})
