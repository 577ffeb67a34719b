"""Datasets: files read, checked and kept as memory-mapped Arrow records.

Importing it loads pyarrow, never torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sbert_cli.data.file import OwnFile, read_pairs
from sbert_cli.data.nli import Nli
from sbert_cli.data.records import Records, Split
from sbert_cli.data.sample import Sample
from sbert_cli.data.stsb import Stsb


class Dataset(Protocol):
    """Gives the records of a split."""

    def load(self, split: Split) -> Records:
        """The records; raises DataError for data that is missing or malformed."""
        ...


DATASETS: dict[str, Callable[..., Dataset]] = {
    "file": OwnFile,
    "nli": Nli,
    "sample": Sample,
    "stsb": Stsb,
}

__all__ = ["DATASETS", "Dataset", "Records", "Split", "read_pairs"]
