"""Rows about encoding: short, long and mixed texts, small calls, one text, an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks import material
from tests.benchmarks.row import Contest, Plan, Row, largest_difference, smallest_cosine
from tests.benchmarks.timing import Run, fastest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from sbert_cli.engine.embedder import Embedder

BATCH_SIZES = (8, 16, 32, 64, 128)
DEFAULT, TUNED = "ST default", "ST tuned"
Draw = Callable[[int], list[str]]


def whole(draw: Draw, full: int, quick: int) -> Callable[[Plan], Contest]:
    """Encode all texts in one call, fp32, against default settings and the best batch size."""

    def prepare(plan: Plan) -> Contest:
        texts = draw(plan.size(full, quick))
        mine, other = material.ours(), material.theirs()
        best, sweep = fastest(BATCH_SIZES, lambda size: encoded(other, texts, size))
        contest = Contest(
            lambda: mine.encode(texts),
            {DEFAULT: encoded(other, texts, 32), TUNED: encoded(other, texts, best)},
            lambda: largest_difference(mine.encode(texts), encoded(other, texts, 32)()),
            len(texts),
            "texts",
            extra={"tuned": {"batch_size": best, "sweep_seconds": sweep}},
        )
        return measured(contest, mine, texts)

    return prepare


def short_bf16(plan: Plan) -> Contest:
    """Ours in bf16; default is sentence-transformers in fp32, tuned its best bf16."""
    mine, plain = material.ours("bf16"), material.theirs()
    texts = material.short_texts(plan.size(1_500, 300))
    half = material.theirs(bf16=True)
    best, sweep = fastest(BATCH_SIZES, lambda size: encoded(half, texts, size))
    contest = Contest(
        lambda: mine.encode(texts),
        {DEFAULT: encoded(plain, texts, 32), TUNED: encoded(half, texts, best)},
        lambda: smallest_cosine(mine.encode(texts), encoded(plain, texts, 32)()),
        len(texts),
        "texts",
        precision="bf16",
        extra={"tuned": {"batch_size": best, "sweep_seconds": sweep, "dtype": "bf16"}},
    )
    return measured(contest, mine, texts)


def calls(draw: Draw, each: int, full: int, quick: int) -> Callable[[Plan], Contest]:
    """One call for every `each` texts, so many calls.

    The default batch size pads a whole call to its longest text; smaller ones pad less.
    """

    def prepare(plan: Plan) -> Contest:
        count = plan.size(full, quick)
        texts = draw(each * count)
        mine, other = material.ours(), material.theirs()
        parts = [texts[start : start + each] for start in range(0, len(texts), each)]

        def every(size: int) -> Run:
            return lambda: [encoded(other, part, size)() for part in parts]

        contest = Contest(
            lambda: [mine.encode(part) for part in parts],
            {DEFAULT: every(32)},
            lambda: largest_difference(
                np.concatenate([mine.encode(part) for part in parts]), np.concatenate(every(32)())
            ),
            count,
            "calls",
        )
        if each > 1:
            best, sweep = fastest((size for size in BATCH_SIZES if size <= each), every)
            contest.theirs = {**contest.theirs, TUNED: every(best)}
            contest.extra = {"tuned": {"batch_size": best, "sweep_seconds": sweep}}
        return measured(contest, mine, texts)

    return prepare


def evaluation(plan: Plan) -> Contest:
    """The STS benchmark's test set, from texts to the score, both evaluators as they ship."""
    from sentence_transformers.sentence_transformer.evaluation import (
        EmbeddingSimilarityEvaluator,
    )

    from sbert_cli.evaluation.similarity import Pairs, Scoring, score_pairs

    rows = plan.size(1_379, 300)
    left, right, gold = material.stsb_pairs("test")
    left, right, gold = left[:rows], right[:rows], gold[:rows]
    mine, other = material.ours(), material.theirs()
    pairs = Pairs(left, right, np.asarray(gold), "the STS benchmark")
    scoring = Scoring("spearman_cosine", 1_000, 0.95, 1)  # configs/evaluator/sts.yaml

    def judged(size: int) -> Run:
        judge = EmbeddingSimilarityEvaluator(left, right, gold, batch_size=size, write_csv=False)
        return lambda: judge(other)

    def score() -> Any:
        return score_pairs(mine.encode, pairs, "sts", scoring).score / 100

    best, sweep = fastest(BATCH_SIZES, judged)
    return Contest(
        score,
        {DEFAULT: judged(16), TUNED: judged(best)},
        lambda: largest_difference(
            np.array(score()), np.array(judged(16)()["spearman_cosine"]), what="spearman differs by"
        ),
        rows,
        "pairs",
        extra={"tuned": {"batch_size": best, "sweep_seconds": sweep}},
    )


def encoded(model: SentenceTransformer, texts: Sequence[str], size: int) -> Run:
    """Their encode of all texts."""
    return lambda: model.encode(list(texts), batch_size=size, show_progress_bar=False)


def measured(contest: Contest, mine: Embedder, texts: Sequence[str]) -> Contest:
    """The contest with its tokens counted and the arithmetic they take, padding left out."""
    lengths = np.asarray(mine.tokenizer(list(texts)).lengths)
    contest.tokens = int(lengths.sum())
    contest.flops = flops(mine, lengths)
    contest.detail = (
        f"{len(texts):,} texts, tokens {lengths.mean():.1f} ± {lengths.std():.1f} "
        f"({lengths.min()} to {lengths.max()})"
    )
    return contest


def flops(mine: Embedder, lengths: Any) -> float:
    """Of a forward pass: 2 a weight a token, and 4 · L² · width a layer for attention."""
    from torch import nn

    config: Any = mine.encoder.chain[0].model.config  # type: ignore[union-attr]
    linear: list[int] = [
        module.weight.numel()
        for name, module in mine.encoder.named_modules()
        if isinstance(module, nn.Linear) and "pooler" not in name
    ]
    squares = float((lengths.astype(float) ** 2).sum())
    attention: float = 4 * squares * config.hidden_size * config.num_hidden_layers
    return 2.0 * sum(linear) * float(lengths.sum()) + attention


ROWS = (
    Row("encode_short", "STSb sentences, fp32", whole(material.short_texts, 1_000, 200)),
    Row("encode_mixed", "5 to 256 tokens, log-uniform, fp32", whole(material.mixed_texts, 200, 40)),
    Row("encode_long", "cut at 256 tokens, fp32", whole(material.long_texts, 64, 12)),
    Row("encode_bf16", "STSb sentences, bf16; default is ST fp32, tuned ST bf16", short_bf16),
    Row("one_text", "one sentence a call, fp32", calls(material.short_texts, 1, 100, 30)),
    Row("small_calls", "32 mixed texts a call, fp32", calls(material.mixed_texts, 32, 4, 2)),
    Row("sts_eval", "STSb test from texts to score", evaluation),
)
