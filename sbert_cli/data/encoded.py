"""Files of vectors read back: what `sbert encode` wrote, and the texts where the file holds them.

Knows nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sbert_cli.data.vectors import Vectors, read_npy
from sbert_cli.errors import DataError

TENSOR = "embeddings"
COLUMNS = ("text", "embedding")


class Encoded(NamedTuple):
    """The vectors [rows, dim] of a file, and its texts; None where it holds none."""

    vectors: Vectors
    texts: Sequence[str] | None


def read_encoded(path: Path) -> Encoded:
    """A file of vectors by its suffix; raises DataError for one that is no such file."""
    try:
        return READERS[path.suffix](path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"not a file of vectors: {reason}",
            where=str(path),
            fix="sbert encode writes such files",
        ) from None


def holds_vectors(path: Path) -> bool:
    """Whether a parquet file has the columns that `sbert encode` writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowInvalid):
        return False
    return set(COLUMNS) <= set(schema.names) and pa.types.is_fixed_size_list(
        schema.field("embedding").type
    )


def _npy(path: Path) -> Encoded:
    return Encoded(read_npy(path), None)


def _safetensors(path: Path) -> Encoded:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return Encoded(_table(file.get_tensor(TENSOR)), None)
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _parquet(path: Path) -> Encoded:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=list(COLUMNS))
    rows = table.column("embedding").combine_chunks()
    vectors = rows.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)
    return Encoded(_table(vectors), table.column("text").to_pylist())


def _jsonl(path: Path) -> Encoded:
    texts, vectors = [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            texts.append(str(row["text"]))
            vectors.append(np.asarray(row["embedding"], dtype=np.float32))
    return Encoded(_table(np.stack(vectors)), texts)


def _table(vectors: Vectors) -> Vectors:
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise ValueError(f"expected floats [rows, dim], found {vectors.dtype} {vectors.shape}")
    return vectors


READERS: dict[str, Callable[[Path], Encoded]] = {
    ".npy": _npy,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
    ".jsonl": _jsonl,
}
