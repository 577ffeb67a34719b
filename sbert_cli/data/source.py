"""Bytes to lines: a file or stdin, unpacked, hashed and decoded with its place always known.

Knows lines, byte offsets and what UTF-8 is; nothing of columns.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sbert_cli.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK = 1 << 20
LONGEST_LINE = 10_000_000  # bytes
STDIN = "-"
# Real text shrinks to a tenth or so; what grows a hundredfold is made to fill a memory.
MOST_GROWTH, HARMLESS = 100, 100_000_000
PACKED = (".gz", ".zst")
NOT_TEXT = {
    b"\xff\xfe": ("UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE > utf8.txt"),
    b"\xfe\xff": ("UTF-16 text", "iconv -f UTF-16 -t UTF-8 FILE > utf8.txt"),
    b"\x1f\x8b": ("gzip data", "name the file .gz, or pipe it through zcat"),
    b"\x28\xb5\x2f\xfd": ("zstandard data", "name the file .zst, or pipe it through zstdcat"),
    b"PAR1": ("a parquet file", "name the file .parquet, or say format=parquet"),
    b"ARROW1": ("an Arrow file", "name the file .arrow, or say format=arrow"),
    b"PK\x03\x04": ("a zip archive", "unpack it first"),
}


class _Counted(io.RawIOBase):
    """A raw stream that hashes and counts what is read from it."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw, self.count, self.sha256 = raw, 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self.raw.read(len(view))
        view[: len(data)] = data
        self.sha256.update(data)
        self.count += len(data)
        return len(data)


class Source:
    """The bytes of a file, or of stdin for `-`; the sha256 is of the bytes as they are stored."""

    def __init__(self, path: str | Path) -> None:
        self.name = "stdin" if str(path) == STDIN else str(path)
        self._path = Path(path)
        self.sha256 = ""
        self._stdin = str(path) == STDIN
        self._ahead: Iterator[str] | None = None

    def blocks(self) -> Iterator[bytes]:
        """The unpacked content in blocks of about a megabyte.

        Raises EOFError, OSError or zlib.error where the content ends early or is damaged.
        """
        raw = sys.stdin.buffer if self._stdin else self._path.open("rb")
        try:
            counted = _Counted(raw)
            total = 0
            for block in self._unpacked(counted):
                total += len(block)
                if total > HARMLESS and total > MOST_GROWTH * counted.count:
                    raise DataError(
                        f"grows to more than {MOST_GROWTH} times its size when unpacked",
                        where=self.name,
                        fix="if it is meant so, unpack it yourself first",
                    )
                yield block
            self.sha256 = counted.sha256.hexdigest()
        finally:
            if not self._stdin:
                raw.close()

    def _unpacked(self, counted: _Counted) -> Iterator[bytes]:
        suffix = "" if self._stdin else self._path.suffix.lower()
        if suffix == ".zst":
            yield from _unpack_zst(counted, self.name)
            return
        stream = gzip.GzipFile(fileobj=counted) if suffix == ".gz" else counted
        while block := stream.read(BLOCK):
            yield block

    def peek(self) -> str:
        """The first line, which `lines` will still give; '' where there is none."""
        lines = self.lines()
        first = next(lines, "")
        self._ahead = chain([first], lines) if first else lines
        return first

    def lines(self) -> Iterator[str]:
        r"""The lines with their ends (\n or \r\n), decoded; a byte order mark is left out.

        Raises DataError with line and byte for what is no UTF-8 text, for damaged or truncated
        compression and for a line of more than LONGEST_LINE bytes.
        """
        if self._ahead is not None:
            yield from self._ahead
            return
        line, offset, tail = 1, 0, b""
        blocks = self.blocks()
        while True:
            try:
                block = next(blocks, b"")
            except (EOFError, OSError, zlib.error) as error:
                raise _damaged(error, self.name, line) from error
            data = tail + block
            size = data.rfind(b"\n") + 1 if block else len(data)
            whole, tail = data[:size], data[size:]
            yield from _decoded(whole, self.name, line, offset)
            if not block:
                return
            line += whole.count(b"\n")
            offset += size
            if len(tail) > LONGEST_LINE:
                raise DataError(
                    f"a line of more than {LONGEST_LINE:,} bytes, the limit on a line",
                    where=f"{self.name}:{line}",
                    fix="split the text, or check that the lines end with a newline",
                )


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal; raises DataError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise unreadable(error, str(path)) from error
    return digest.hexdigest()


def unreadable(error: OSError, name: str) -> DataError:
    """The error for a file that does not exist or cannot be read."""
    reason = (error.strerror or str(error)).lower()
    folder = Path(name).absolute().parent
    # By what stands before the first dot: all .tsv files are alike otherwise.
    there = {path.name.partition(".")[0]: path.name for path in sorted(folder.glob("*"))}
    near = nearest(Path(name).name.partition(".")[0], there)
    fix = f"did you mean '{there[near]}'?" if near else "check the name and the folder you are in"
    return DataError(f"cannot read '{name}': {reason}", where=name, fix=fix)


def _damaged(error: Exception, name: str, line: int) -> DataError:
    if isinstance(error, EOFError):
        fix = "fetch or pack the file again"
        return DataError("the compressed file ends too early", where=f"{name}:{line}", fix=fix)
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        fix = "fetch or pack the file again; a file that is not packed must not be named .gz"
        return DataError(f"damaged compression: {error}", where=f"{name}:{line}", fix=fix)
    assert isinstance(error, OSError)
    return unreadable(error, name)


def _decoded(data: bytes, name: str, line: int, offset: int) -> Iterator[str]:
    """Whole lines of UTF-8, the first of which is line `line` at byte `offset` of `name`."""
    if offset == 0:
        for magic, (kind, fix) in NOT_TEXT.items():
            if data.startswith(magic):
                raise DataError(f"this is {kind}, not UTF-8 text", where=f"{name}:1", fix=fix)
        # Only the mark itself goes: offsets still count it.
        data, offset = (data[3:], 3) if data.startswith(b"\xef\xbb\xbf") else (data, 0)
    try:
        text = data.decode("utf-8")
        bad = data.find(b"\0")
        what, fix = "a NUL byte", "is it UTF-16 or no text at all? look at it with xxd"
    except UnicodeDecodeError as error:
        bad = error.start
        what, fix = f"invalid UTF-8 (0x{data[bad]:02x})", "iconv -f LATIN1 -t UTF-8 FILE > utf8.txt"
    if bad >= 0:
        row = line + data.count(b"\n", 0, bad)
        column = bad - data.rfind(b"\n", 0, bad)
        what = f"{what} at byte {offset + bad:,} of the file"
        raise DataError(what, where=f"{name}:{row}:{column}", fix=fix)
    yield from io.StringIO(text, newline="\n")


def _unpack_zst(counted: _Counted, name: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            "reading .zst needs the package 'zstandard'",
            where=name,
            fix="pip install zstandard, or unpack the file first",
        ) from None
    frame, started = zstandard.ZstdDecompressor().decompressobj(), False
    # A few bytes can stand for a block of 128 KiB: small bites keep the memory small.
    while data := counted.read(BLOCK >> 8):
        while data:
            started = True
            try:
                unpacked = frame.decompress(data)
            except zstandard.ZstdError as error:
                raise zlib.error(str(error)) from error
            if unpacked:
                yield unpacked
            if not frame.eof:
                break
            data, started = frame.unused_data, False
            frame = zstandard.ZstdDecompressor().decompressobj()
    if started:
        raise EOFError
