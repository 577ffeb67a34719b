"""sbert search: the texts of a corpus that are nearest to a question."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sbert_cli import console
from sbert_cli.commands.corpus import GROUPS, Corpus, read_corpus
from sbert_cli.commands.encode import check_prompt
from sbert_cli.commands.output import check_output, rounded, write_rows
from sbert_cli.config import plain, settings
from sbert_cli.errors import DataError, UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sbert_cli.engine.embedder import Embedder

HEADER = ("query", "rank", "row", "score", "text")
PROMPT = "query> "

Hit = dict[str, Any]
Answer = Callable[[list[str]], list[list[Hit]]]


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The keys of configs/search.yaml."""

    source: str
    query: str | list[str] | None
    queries: str | None
    top_k: int
    score: Literal["auto", "cosine", "dot"]
    output: str | None
    overwrite: bool
    column: str | None
    prompt: str | None
    prompt_name: str | None
    query_prompt: str | None
    query_prompt_name: str | None
    offline: bool
    json: bool

    def __post_init__(self) -> None:
        if self.top_k < 1:
            where = f"config key top_k={self.top_k}"
            raise UsageError("top_k must be at least 1", where=where)
        if self.query is not None and self.queries is not None:
            raise UsageError(
                "query and queries exclude one another", where=f"config key queries={self.queries}"
            )
        if self.query == [] or self.query == "":
            raise UsageError("an empty query", where="config key query", fix="query='...'")
        check_prompt(self.prompt, self.prompt_name)
        check_prompt(self.query_prompt, self.query_prompt_name)


def run(cfg: DictConfig) -> None:
    """Encode the queries as the corpus was encoded, search it, show texts and scores."""
    config = plain(cfg)
    asked = settings(SearchSettings, config, GROUPS)
    check_output(asked.output, overwrite=asked.overwrite)
    queries = _queries(asked)  # a mistake in them shows before anything is encoded
    corpus = read_corpus(config)
    answer, score = _searcher(asked, corpus, corpus.build_embedder())
    answers = _interact(asked, answer, score) if queries is None else [*_all(queries, answer)]
    if queries is not None and not asked.json and asked.output is None:
        for query, hits in answers:
            _show(query, hits, score)
    if asked.output and not (asked.output == "-" and queries is None):
        write_rows(asked.output, HEADER, _rows(answers))
        if asked.output != "-":
            console.note(f"{sum(len(hits) for _, hits in answers):,} hits → {asked.output}")
    if asked.json and asked.output != "-":
        console.write_json({"answers": [{"query": q, "hits": hits} for q, hits in answers]})


def _queries(asked: SearchSettings) -> list[str] | None:
    """What is asked: words, a file or the lines of stdin; None where a person will type."""
    from sbert_cli.data.texts import TextSource

    if asked.query is not None:
        return [asked.query] if isinstance(asked.query, str) else asked.query
    if asked.queries is not None:
        windows = TextSource(asked.queries, column=None, window=100_000).windows()
        return [text for window in windows for text in window]
    if asked.source == "-":
        raise UsageError(
            "stdin cannot give the texts and the queries",
            where="config key source=-",
            fix="query='...' or queries=FILE",
        )
    if sys.stdin is not None and sys.stdin.isatty():
        return None
    try:
        lines = [line.strip() for line in sys.stdin or ()]
    except UnicodeDecodeError:
        raise DataError("the queries on stdin are not valid UTF-8", where="stdin") from None
    found = [line for line in lines if line]
    if not found:
        raise UsageError(
            "no query", where="config key query", fix="query='...', queries=FILE, or lines on stdin"
        )
    return found


def _searcher(
    asked: SearchSettings, corpus: Corpus, embedder: Embedder
) -> tuple[Answer, Literal["cosine", "dot"]]:
    """From queries to their hits, and the name of the score."""
    from sbert_cli.retrieval.search import search

    score = asked.score
    if score == "auto":
        score = "dot" if embedder.encoder.card.similarity == "dot" else "cosine"
        if score == "dot":
            console.note("scores are dot products, as the model's folder says")

    def answer(queries: list[str]) -> list[list[Hit]]:
        vectors = embedder.encode(
            queries, prompt=asked.query_prompt, prompt_name=asked.query_prompt_name
        )
        found = search(vectors, corpus.vectors, asked.top_k, score)
        return [
            [
                {"row": int(row), "score": rounded(value), "text": corpus.texts[row]}
                for row, value in zip(rows, scores, strict=True)
            ]
            for rows, scores in zip(found.rows, found.scores, strict=True)
        ]

    return answer, score


def _all(queries: list[str], answer: Answer) -> Iterator[tuple[str, list[Hit]]]:
    return zip(queries, answer(queries), strict=True)


def _interact(asked: SearchSettings, answer: Answer, score: str) -> list[tuple[str, list[Hit]]]:
    """Ask for queries until an empty line, and answer each at once."""
    answers = []
    console.note("an empty line ends")
    while query := (console.ask(PROMPT) or "").strip():
        found = [*_all([query], answer)]
        answers += found
        if asked.output == "-":
            write_rows("-", HEADER, _rows(found))
        elif not asked.json:
            _show(query, found[0][1], score)
    return answers


def _show(query: str, hits: list[Hit], score: str) -> None:
    rows = [(hit["score"], hit["row"] + 1, hit["text"]) for hit in hits]
    console.show_table(query, (score, "row", "text"), rows, data=True)


def _rows(answers: list[tuple[str, list[Hit]]]) -> Iterator[tuple[str, int, int, float, str]]:
    for query, hits in answers:
        for rank, hit in enumerate(hits, 1):
            yield query, rank, hit["row"], hit["score"], hit["text"]
