"""The ends nobody planned: a bug of ours, memory that ran out, a reader of stdout who left.

Keeps the traceback of a bug in a file and says where; knows nothing of commands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from sbert_cli import console
from sbert_cli.errors import ResourceError, SbertError

if TYPE_CHECKING:
    from types import TracebackType


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception that is our fault: three lines, and where its traceback is kept.

    Has the signature of sys.excepthook, after which Python exits with 1.
    """
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(kind, error, trace))
    with tempfile.NamedTemporaryFile(
        "w", prefix="sbert-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    if os.environ.get("SBERT_DEBUG") == "1":
        console.note(text)
    what = f"a bug in sbert: {kind.__name__}: {error}".splitlines()[0]
    fix = "report it with that file; SBERT_DEBUG=1 shows the traceback here"
    console.fail(SbertError(what, where=file.name, fix=fix))


def out_of_memory(error: Exception, command: str) -> ResourceError | None:
    """The error for memory that ran out, as Python or torch say it; None for anything else."""
    reason = f"{error}".partition("\n")[0]
    words = ("out of memory", "can't allocate memory")  # of GPUs; of the CPU
    if not isinstance(error, MemoryError) and not any(each in reason for each in words):
        return None
    fix = "a smaller batch_size (accumulate keeps the steps as large)"
    return ResourceError(
        "the memory ran out",
        where=f"sbert {command}" + (f": {reason[-200:]}" if reason else ""),
        fix=fix if command == "train" else "a smaller engine.token_budget, or fewer texts at once",
    )


def discard_stdout() -> None:
    """Nobody reads stdout any more; keep Python's own flush at exit from complaining."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
