"""Files to rows: csv, tsv, jsonl, txt, parquet and Arrow, each row with its place.

Knows how cells are cut out of a file; nothing of what they mean.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Protocol

from sbert_cli.data.layout import Layout
from sbert_cli.data.source import LONGEST_LINE, Source
from sbert_cli.errors import DataError, listed

Row = tuple[str, Sequence[object]]  # file:line, the cells asked for

DELIMITERS = {",": "','", ";": "';'", "\t": "'\\t'", "|": "'|'"}


class Rows(Protocol):
    """An open file: the names of all columns and of those with texts; rows to be read once."""

    names: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold strings, as far as the beginning tells."""
        ...

    @property
    def sha256(self) -> str:
        """The sha256 of the stored bytes; known once all rows are read."""
        ...

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """Place and the asked-for cells of every row."""
        ...


def open_rows(path: str | Path, layout: Layout) -> Rows:
    """A file (`-`: stdin) ready to be read; raises DataError when its beginning is malformed."""
    if layout.format in ("parquet", "arrow"):
        from sbert_cli.data.columnar import Columnar

        return Columnar(Path(path), layout.format)
    source = Source(path)
    if layout.format == "jsonl":
        return JsonLines(source)
    if layout.format == "txt":
        return Plain(source)
    return Delimited(source, layout)


def open_all(paths: Sequence[Path], layout: Layout) -> Iterator[tuple[str, Rows]]:
    """Name and rows of each file in turn; parallel files are one."""
    if layout.format == "parallel":
        yield str(paths[0]), Parallel(paths)
        return
    for path in paths:
        yield str(path), open_rows(path, layout)


class _FromSource:
    """What the rows of all text formats share."""

    names: tuple[str, ...]

    def __init__(self, source: Source) -> None:
        self._source = source
        self._name = source.name

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold strings: all."""
        return self.names

    @property
    def sha256(self) -> str:
        """The sha256 of the stored bytes; known once all rows are read."""
        return self._source.sha256


class Plain(_FromSource):
    """One text a line; empty lines are empty texts."""

    names: tuple[str, ...] = ("text",)

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """Every line without its end."""
        width = len(columns)
        for number, line in enumerate(self._source.lines(), 1):
            yield f"{self._name}:{number}", [line.rstrip("\r\n")] * width


class Delimited(_FromSource):
    """csv and tsv; blank lines are no rows. Without a header the names are the positions."""

    def __init__(self, source: Source, layout: Layout) -> None:
        super().__init__(source)
        self._layout = layout
        self._rows = self._quoted(source) if layout.quoting else self._split(source)
        first = next(self._rows, None)
        if first is None:
            raise DataError("the file is empty", where=self._name)
        number, header = first
        self.names = tuple(header) if layout.header else tuple(map(str, range(len(header))))
        if layout.header:
            self._check_header(number)
        else:
            self._rows = chain([first], self._rows)

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """The asked-for cells, each a str."""
        width, extra = len(self.names), self._layout.extra
        for number, row in self._rows:
            if len(row) != width and (len(row) < width or not extra):
                raise self._wrong_width(number, row)
            yield f"{self._name}:{number}", [row[column] for column in columns]

    def _split(self, source: Source) -> Iterator[tuple[int, list[str]]]:
        delimiter = self._layout.delimiter
        for number, line in enumerate(source.lines(), 1):
            row = line.rstrip("\r\n")
            if row:
                yield number, row.split(delimiter)

    def _quoted(self, source: Source) -> Iterator[tuple[int, list[str]]]:
        # The module's own limit is 128 KiB a cell; the reader's limit on a line takes its place.
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(source.lines(), delimiter=self._layout.delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._broken(error, number, reader.line_num) from error
            if row:
                yield number, row

    def _broken(self, error: csv.Error, first: int, last: int) -> DataError:
        if "unexpected end" in str(error) or "field limit" in str(error):
            what, line = "a quote that is opened here is never closed", first
        else:
            what, line = f"broken quotes: {error}", last
        fix = 'write " in a cell as ""; dataset=file quoting=false takes quotes as plain text'
        return DataError(what, where=f"{self._name}:{line}", fix=fix)

    def _wrong_width(self, number: int, row: Sequence[str]) -> DataError:
        kind = DELIMITERS.get(self._layout.delimiter, repr(self._layout.delimiter))
        width, seen = len(self.names), row[0][:40]
        return DataError(
            f"{len(row)} cells between {kind}, expected {width}; the row begins '{seen}'",
            where=f"{self._name}:{number}:{min(len(row), width) + 1}",
            fix="mend the line" + self._other_delimiter(row),
        )

    def _other_delimiter(self, row: Sequence[str]) -> str:
        other = [mark for mark in DELIMITERS if len(row) == 1 and mark in row[0]]
        return f", or say delimiter={DELIMITERS[other[0]]}" if other else ""

    def _check_header(self, number: int) -> None:
        seen = set[str]()
        for position, name in enumerate(self.names, 1):
            if name and name in seen:
                raise DataError(
                    f"two columns are called '{name}'",
                    where=f"{self._name}:{number}:{position}",
                    fix="rename one of them in the first line",
                )
            seen.add(name)


class JsonLines(_FromSource):
    """One JSON object a line; its columns are the keys of the first object."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._decode = json.JSONDecoder(parse_constant=_refuse).decode
        self._objects = self._read(source)
        first = next(self._objects, None)
        if first is None:
            raise DataError("the file is empty", where=self._name)
        self.names = tuple(first[1])
        self._texts = tuple(key for key, value in first[1].items() if isinstance(value, str))
        self._objects = chain([first], self._objects)

    @property
    def texts(self) -> tuple[str, ...]:
        """The keys whose value in the first object is a string."""
        return self._texts

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """The asked-for values, of whatever type they are."""
        keys = [self.names[column] for column in columns]
        for number, item in self._objects:
            try:
                values = [item[key] for key in keys]
            except KeyError as error:
                raise DataError(
                    f"no key '{error.args[0]}'; there is {listed(item)[:200]}",
                    where=f"{self._name}:{number}",
                ) from None
            yield f"{self._name}:{number}", values

    def objects(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Place and all of every object, for layouts whose keys differ from line to line."""
        for number, item in self._objects:
            yield f"{self._name}:{number}", item

    def _read(self, source: Source) -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in enumerate(source.lines(), 1):
            if line.isspace():
                continue
            try:
                item = self._decode(line.rstrip("\r\n"))
            except json.JSONDecodeError as error:
                where = f"{self._name}:{number}:{error.colno}"
                raise DataError(f"no JSON: {error.msg.lower()}", where=where) from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"no JSON: {error}", where=f"{self._name}:{number}") from None
            if not isinstance(item, dict):
                raise DataError(
                    f"a JSON {_kind(item)} where an object is expected",
                    where=f"{self._name}:{number}",
                    fix='one object a line: {"sentence1": "...", "sentence2": "..."}',
                )
            yield number, item


class Parallel:
    """Line files of equal length, a column each, named as the files up to their first dot."""

    sha256 = ""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.names: tuple[str, ...] = tuple(path.name.split(".")[0] for path in paths)
        self.texts = self.names

    def cells(self, columns: Sequence[int]) -> Iterator[Row]:
        """One line of each asked-for file, with the place in the first."""
        files = [Plain(Source(self._paths[column])).cells([0]) for column in columns]
        for number, row in enumerate(zip_longest(*files), 1):
            if None in row:
                short = self._paths[columns[row.index(None)]]
                raise DataError(
                    "this file ends here, the files beside it go on",
                    where=f"{short}:{number}",
                    fix="fetch the files again",
                )
            yield row[0][0], [cells[0] for _, cells in row]


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _kind(item: object) -> str:
    kinds = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(item), "number")
