"""Parquet and Arrow files as rows; the place of a row is its number, from 1.

Knows nothing of what the cells mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sbert_cli.data.layout import Format
from sbert_cli.data.rows import Row
from sbert_cli.data.source import PACKED, sha256_of, unreadable
from sbert_cli.errors import DataError, UsageError

READ_AT_ONCE = 4096  # rows


class Columnar:
    """The rows of a parquet or Arrow file (also Arrow streams and feather)."""

    def __init__(self, path: Path, kind: Format) -> None:
        if path.suffix.lower() in PACKED:
            raise UsageError(
                f"a {kind} file is packed inside; {path.suffix} around it is not read",
                where=str(path),
                fix="unpack the file first",
            )
        self._path, self._kind = path, kind
        try:
            self._file = self._open()
        except (pa.ArrowException, OSError) as error:
            raise self._spoken(error) from error
        self.schema: Any = self._file.schema_arrow if kind == "parquet" else self._file.schema
        self.names = tuple(self.schema.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of type string."""
        kinds = {pa.string(), pa.large_string(), pa.string_view()}
        return tuple(field.name for field in self.schema if field.type in kinds)

    @property
    def sha256(self) -> str:
        """The sha256 of the file, read for it once more."""
        return sha256_of(self._path)

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """The asked-for values as Python objects."""
        number = 0
        try:
            for batch in self._batches([self.names[column] for column in columns]):
                names = [self.names[column] for column in columns]
                lists = [batch.column(name).to_pylist() for name in names]
                for row in zip(*lists, strict=True):
                    number += 1
                    yield f"{self._path}:{number}", row
        except (pa.ArrowException, OSError) as error:
            raise self._spoken(error) from error

    def _open(self) -> Any:
        if self._kind == "parquet":
            from pyarrow import parquet

            return parquet.ParquetFile(self._path)
        file = pa.memory_map(str(self._path))
        try:
            return pa.ipc.open_file(file)
        except pa.ArrowInvalid:
            file.seek(0)
            return pa.ipc.open_stream(file)

    def _batches(self, names: list[str]) -> Iterator[Any]:
        if self._kind == "parquet":
            yield from self._file.iter_batches(READ_AT_ONCE, columns=list(dict.fromkeys(names)))
        elif isinstance(self._file, pa.ipc.RecordBatchFileReader):
            yield from map(self._file.get_batch, range(self._file.num_record_batches))
        else:
            yield from self._file

    def _spoken(self, error: Exception) -> DataError:
        if isinstance(error, OSError) and error.errno is not None:
            return unreadable(error, str(self._path))
        reason = str(error).splitlines()[0].rstrip(".")
        return DataError(f"not a readable {self._kind} file: {reason}", where=str(self._path))
