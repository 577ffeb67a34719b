"""Unpacks zip and tar archives from strangers: everything is checked before anything is written.

Knows names, kinds and sizes of entries; nothing of what the files mean.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from sbert_cli.errors import BusyError, DataError, UnsafeError
from sbert_cli.hub.paths import safe_path

LIMIT_GB = 50.0
ENTRIES = 100_000
RATIO = 100
# Text of one character packs well too: below this size the ratio says nothing.
RATIO_FLOOR = 10 * 1024 * 1024
CHUNK = 1 << 20
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a packing that zipfile does not know
)
Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of an archive: its safe path, its size in bytes, whether it is a folder."""

    path: str
    size: int
    is_folder: bool


def unpack(archive: Path, folder: Path, *, limit: int, name: str = "") -> None:
    """Unpack an archive into `folder`, which must not exist, all of it or nothing.

    `limit` is the most bytes it may unpack to; `name` is its name for messages, and its ending
    says the format. Raises UnsafeError for what it refuses, DataError for a broken archive,
    BusyError when the folder exists.
    """
    name = name or archive.name
    if folder.exists():
        raise BusyError(f"'{folder}' exists already", where=str(folder), fix="remove it first")
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _Plan(archive, name, limit).check()
        scratch.mkdir(parents=True)
        with _entries(archive, name) as entries:
            for entry, content in entries:
                _write(scratch / entry.path, entry, content)
        scratch.replace(folder)
    except (*BROKEN, OSError) as error:
        # gzip and bz2 give no number; a zip that points before its own start gives EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(
            f"not a sound archive: {str(error) or type(error).__name__}",
            where=name,
            fix="fetch it again; if it stays, its source is damaged",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Plan:
    """The check that comes first: walks all entries, writes nothing."""

    def __init__(self, archive: Path, name: str, limit: int) -> None:
        self.archive = archive
        self.name = name
        self.limit = limit
        self.packed = max(archive.stat().st_size, 1)
        self.total = 0
        self.count = 0
        # Case-folded path -> its first spelling and whether it is a file.
        self.seen: dict[str, tuple[str, bool]] = {}

    def check(self) -> None:
        """Look at every entry; raises UnsafeError at the first that is refused."""
        with _entries(self.archive, self.name) as entries:
            for entry, _ in entries:
                self._count(entry)
                self._place(entry)

    def _count(self, entry: Entry) -> None:
        self.count += 1
        self.total += entry.size
        if self.count > ENTRIES:
            raise self._refusal(f"more than {ENTRIES:,} entries")
        if self.total > self.limit:
            fix = "max_gb=... allows more, where the disk has room"
            raise self._refusal(f"unpacks to more than {self.limit / 1e9:g} GB", fix)
        if self.total > RATIO_FLOOR and self.total / self.packed > RATIO:
            raise self._refusal(f"unpacks to more than {RATIO} times its size")

    def _place(self, entry: Entry) -> None:
        path = PurePosixPath(entry.path)
        for parent in list(path.parents)[-2::-1]:
            self._claim(str(parent), is_file=False, entry=entry)
        if _folded(entry.path) in self.seen and not entry.is_folder:
            raise self._refusal(f"two entries for '{entry.path}'")
        self._claim(entry.path, is_file=not entry.is_folder, entry=entry)

    def _claim(self, path: str, *, is_file: bool, entry: Entry) -> None:
        spelling, was_file = self.seen.setdefault(_folded(path), (path, is_file))
        if spelling != path:
            raise self._refusal(f"names that differ only in case: '{spelling}', '{path}'")
        if was_file != is_file:
            raise self._refusal(f"'{path}' is both a file and a folder")

    def _refusal(self, what: str, fix: str = "do not trust this source") -> UnsafeError:
        return UnsafeError(f"refused: {what}", where=self.name, fix=fix)


@contextmanager
def _entries(archive: Path, name: str) -> Iterator[Iterator[tuple[Entry, Opener]]]:
    """Every entry and what opens its content; refuses kinds that are neither file nor folder."""
    lower = name.lower()
    with archive.open("rb") as file:
        if lower.endswith(".zip"):
            with zipfile.ZipFile(file) as pack:
                yield _zip_entries(pack)
            return
        allowed = RATIO_FLOOR + RATIO * archive.stat().st_size
        plain: IO[bytes] = file
        if lower.endswith((".gz", ".tgz")):
            plain = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        elif lower.endswith("bz2"):
            plain = bz2.BZ2File(file)
        stream = cast("BinaryIO", _Bounded(plain, allowed, name))
        with tarfile.open(fileobj=stream, mode="r|") as tape:
            yield _tar_entries(tape)


def _zip_entries(pack: zipfile.ZipFile) -> Iterator[tuple[Entry, Opener]]:
    for info in pack.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
            what = "an encrypted entry" if info.flag_bits & 1 else "a link or device"
            raise UnsafeError(f"refused: {what}: '{info.filename}'", fix="do not trust this source")
        # orig_filename still has what zipfile cuts off at a NUL.
        entry = Entry(safe_path(info.orig_filename), info.file_size, info.is_dir())
        yield entry, partial(pack.open, info)


def _tar_entries(tape: tarfile.TarFile) -> Iterator[tuple[Entry, Opener]]:
    for info in tape:
        if not (info.isreg() or info.isdir()) or info.issparse():
            raise UnsafeError(
                f"refused: a link, device or sparse file: '{info.name}'",
                fix="do not trust this source",
            )
        if info.isdir() and PurePosixPath(info.name) == PurePosixPath("."):
            continue
        entry = Entry(safe_path(info.name), 0 if info.isdir() else info.size, info.isdir())
        yield entry, partial(_extracted, tape, info)


def _extracted(tape: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = tape.extractfile(info)
    assert content is not None, "only folders have no content"
    return content


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than its share: headers can be bombs too."""

    def __init__(self, stream: IO[bytes], allowed: int, name: str) -> None:
        self.stream = stream
        self.left = allowed
        self.name = name

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; raises UnsafeError past the share."""
        data = self.stream.read(size if size >= 0 else self.left + 1)
        self.left -= len(data)
        if self.left < 0:
            raise UnsafeError(
                f"refused: unpacks to more than {RATIO} times its size",
                where=self.name,
                fix="do not trust this source",
            )
        return data


def _write(target: Path, entry: Entry, opened: Opener) -> None:
    if entry.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened() as content, target.open("xb") as out:
        while data := content.read(CHUNK):
            written += len(data)
            out.write(data)
        out.flush()
        os.fsync(out.fileno())
    if written != entry.size:
        raise zipfile.BadZipFile(f"'{entry.path}' is shorter or longer than its header says")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
