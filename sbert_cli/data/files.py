"""Where the files of a dataset lie: a folder or file as given, or found by name in the cache.

Knows names of files and splits; nothing of what is in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sbert_cli.data.records import Split
from sbert_cli.errors import DataError

# Each split under the names that publishers give it.
SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "validation", "valid", "val"),
    "test": ("test",),
}


def look_up(name: str, path: str | None, *, offline: bool) -> Path:
    """`path` where it is given, else the dataset `name`: in the cache, or fetched into it.

    Raises DataError when the path does not exist, HubError when nothing can be fetched.
    """
    if path is None:
        from sbert_cli.hub import find_dataset

        return find_dataset(name, offline=offline)
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(
            f"'{path}' does not exist",
            where=f"config key path={path}",
            fix=f"path=null uses the dataset '{name}' that sbert download {name} fetches",
        )
    return root


def find_file(root: Path, patterns: Iterable[str]) -> Path | None:
    """The first file that a pattern names: `root` itself, in it, or one folder below."""
    for pattern in patterns:
        if root.is_file():
            if root.match(pattern):
                return root
            continue
        for place in (pattern, f"*/{pattern}"):
            if found := sorted(root.glob(place)):
                return found[0]
    return None


def find_shards(root: Path, folders: Iterable[str], split: Split) -> tuple[Path, ...]:
    """The parquet files of a split, in order: `<folder>/<split>-*.parquet` of the first folder."""
    if root.is_file():
        return (root,) if root.suffix == ".parquet" else ()
    for folder in folders:
        for name in SPLITS[split]:
            if found := sorted((root / folder).glob(f"{name}[-.]*parquet")):
                return tuple(found)
    return ()


def nothing_here(root: Path, split: Split, known: str) -> DataError:
    """The error for a folder in which no layout fits."""
    kind = "this folder has" if root.is_dir() else "this file has"
    return DataError(
        f"{kind} no {split} split of a known layout ({known})",
        where=str(root),
        fix="dataset=file reads any csv, tsv, jsonl or parquet file",
    )
