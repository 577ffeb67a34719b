"""What is asked of a download, and what comes of it.

Plain data; the fetching is done elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sbert_cli.hub.store import File

Source = Literal["hub", "web"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to fetch: from where, which revision, all anew, only look, only the cache.

    `unpack_limit` is the most bytes that an archive may unpack to.
    """

    source: Source | Literal["auto"]
    revision: str | None
    force: bool
    dry_run: bool
    offline: bool
    unpack_limit: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download: its folder, the hub commit, the files, how many bytes came now.

    After a dry run `bytes_missing` is what a download would bring, None where a server does not
    say; otherwise it is 0.
    """

    name: str
    kind: Literal["model", "dataset", "file"]
    folder: Path
    source: str
    origin: tuple[str, ...]
    revision: str | None
    files: tuple[File, ...]
    bytes_fetched: int
    bytes_missing: int | None
