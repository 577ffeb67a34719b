"""sbert search: the texts of an encoded file that are nearest to a question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sbert_cli import console
from sbert_cli.commands.encode import manifest_path
from sbert_cli.config import plain, settings
from sbert_cli.errors import DataError, UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

GROUPS = ("engine",)


def run(cfg: DictConfig) -> None:
    """Encode the queries as the file was encoded, search it, show texts and scores."""
    config = plain(cfg)
    wanted = settings(SearchSettings, config, GROUPS)
    vectors = Path(wanted.vectors)
    manifest = _manifest(vectors)
    from sbert_cli.commands.assemble import build_compute, build_encoder
    from sbert_cli.data.texts import TextSource
    from sbert_cli.data.vectors import read_npy
    from sbert_cli.engine.embedder import Embedder, Output
    from sbert_cli.retrieval.search import search

    corpus = read_npy(vectors)
    source = TextSource(manifest["input"], column=manifest["column"], window=100_000)
    texts = [text for window in source.windows() for text in window]
    if source.sha256 != manifest["input_sha256"]:
        raise DataError(
            f"'{manifest['input']}' is not the file any more that was encoded",
            where=str(manifest_path(vectors)),
            fix=f"sbert encode {manifest['input']} output={vectors} overwrite=true",
        )
    compute = build_compute(config)
    encoder = build_encoder({**manifest["config"], "offline": wanted.offline}, bare=None)
    output = Output(manifest["normalize"], manifest["truncate_dim"], manifest["prompt"])
    queries = [wanted.query] if isinstance(wanted.query, str) else wanted.query
    asked = Embedder(encoder, compute, output).encode(queries)
    hits = search(asked, corpus, wanted.top_k)
    found = [
        [{"row": int(r), "score": float(s), "text": texts[r]} for r, s in zip(*hit, strict=True)]
        for hit in zip(hits.rows, hits.scores, strict=True)
    ]
    if wanted.json:
        answers = [{"query": q, "hits": h} for q, h in zip(queries, found, strict=True)]
        console.write_json({"answers": answers})
        return
    for query, hit in zip(queries, found, strict=True):
        rows = [(h["score"], h["row"] + 1, h["text"]) for h in hit]
        console.show_table(query, ("cosine", "row", "text"), rows, data=True)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The keys of configs/search.yaml."""

    vectors: str
    query: str | list[str]
    top_k: int
    offline: bool
    json: bool

    def __post_init__(self) -> None:
        if self.top_k < 1:
            where = f"config key top_k={self.top_k}"
            raise UsageError("top_k must be at least 1", where=where)


def _manifest(vectors: Path) -> dict[str, Any]:
    path = manifest_path(vectors)
    if not vectors.exists() or not path.exists():
        missing = path if vectors.exists() else vectors
        raise DataError(
            f"'{missing}' does not exist",
            where=f"config key vectors={vectors}",
            fix=f"sbert encode texts.txt output={vectors}",
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        needed = {"input", "input_sha256", "column", "config", "normalize", "prompt"}
        if needed <= manifest.keys() and manifest["input"] != "-":
            return dict(manifest)
    except (ValueError, AttributeError):
        pass
    raise DataError(
        "this file does not say which texts and which model the vectors are of",
        where=str(path),
        fix=f"sbert encode texts.txt output={vectors} overwrite=true",
    )
