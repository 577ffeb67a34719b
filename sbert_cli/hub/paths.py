"""Names and paths that strangers chose: what they may be, and what their endings say.

Looks at text alone, never at a disk.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from sbert_cli.errors import UnsafeError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
NAME_BYTES = 255
PATH_BYTES = 1024
DRIVE = re.compile(r"^[A-Za-z]:")


def is_archive(name: str) -> bool:
    """Whether a file name says that `unpack` reads it."""
    return name.lower().endswith(SUFFIXES)


def stem(name: str) -> str:
    """A file name without the endings of archive, packing and format."""
    endings = (*SUFFIXES, ".gz", ".bz2", ".zst")
    plain = next((name[: -len(end)] for end in endings if name.lower().endswith(end)), name)
    return re.sub(r"\.(txt|tsv|csv|jsonl?|parquet|label)$", "", plain, flags=re.IGNORECASE)


def safe_path(name: str) -> str:
    """A relative path from a stranger, without `./` parts; raises UnsafeError for any other."""
    parts = PurePosixPath(name).parts
    faults = (
        (not name or not parts, "an empty name"),
        (name.startswith("/") or bool(DRIVE.match(name)), "an absolute path"),
        (".." in parts, "a path that leads out of its folder"),
        ("\\" in name, "a backslash in a path"),
        (any(unicodedata.category(c) in ("Cc", "Cs") for c in name), "a control character"),
        (any(len(_bytes(p)) > NAME_BYTES for p in parts), f"a name over {NAME_BYTES} bytes"),
        (len(_bytes(name)) > PATH_BYTES, f"a path over {PATH_BYTES} bytes"),
    )
    for wrong, what in faults:
        if wrong:
            shown = name.encode("unicode_escape").decode()[:200]
            raise UnsafeError(f"refused: {what}: '{shown}'", fix="do not trust this source")
    return str(PurePosixPath(*parts))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
