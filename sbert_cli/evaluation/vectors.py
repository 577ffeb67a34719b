"""Columns of texts as vectors: each distinct text is encoded once, and every vector is checked.

Knows neither what the texts are for nor which model makes the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sbert_cli.errors import NumericalError

Encode = Callable[[list[str]], NDArray[Any]]
Indices = NDArray[np.intp]

SHOWN = 80  # letters of a text in a message


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Vectors [distinct texts, dim], and for each column where its rows' vectors stand [rows]."""

    vectors: NDArray[Any]
    rows: tuple[Indices, ...]

    def column(self, number: int) -> NDArray[Any]:
        """The vectors of a column, [rows, dim]."""
        return self.vectors[self.rows[number]]


def embed(
    encode: Encode, columns: Sequence[Sequence[str]], source: str, unit: str = "pair"
) -> Embedded:
    """The vectors of the texts in `columns`, all encoded in one call.

    Raises NumericalError when one holds NaN or infinity: it names the row (a `unit` of `source`).
    """
    texts = list(dict.fromkeys(text for column in columns for text in column))
    place = {text: index for index, text in enumerate(texts)}
    rows = tuple(
        np.fromiter((place[text] for text in column), np.intp, len(column)) for column in columns
    )
    vectors = np.asarray(encode(texts))
    assert vectors.shape[:1] == (len(texts),) and vectors.ndim == 2
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise _not_finite(bad, texts, rows, source, unit)
    return Embedded(vectors, rows)


def _not_finite(
    bad: NDArray[np.bool_], texts: list[str], rows: tuple[Indices, ...], source: str, unit: str
) -> NumericalError:
    """The error for the first row with a vector that is not finite."""
    row = int(np.argmax(np.logical_or.reduce([bad[column] for column in rows])))
    text = next(texts[column[row]] for column in rows if bad[column[row]])
    return NumericalError(
        f"the vector of a text in {unit} {row + 1} holds NaN or infinity: '{_shorten(text)}'",
        where=source,
        fix="try engine.precision=fp32; if it stays, the weights of the model are broken",
    )


def _shorten(text: str) -> str:
    """A text for a message, cut where it is long."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
