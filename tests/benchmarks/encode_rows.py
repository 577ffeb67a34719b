"""Rows about encoding: short, long and mixed texts, small calls, one text, an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks import material
from tests.benchmarks.counting import measured
from tests.benchmarks.goal import Goal
from tests.benchmarks.row import DEFAULT, TUNED, Contest, Plan, Row, largest_difference
from tests.benchmarks.timing import Run, fastest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_SIZES = (8, 16, 32, 64, 128)
Draw = Callable[[int], list[str]]
Folder = Callable[[], Path]


def whole(
    draw: Draw, full: int, quick: int, folder: Folder = material.model_folder
) -> Callable[[Plan], Contest]:
    """Encode all texts in one call, fp32, against default settings and the best batch size."""

    def prepare(plan: Plan) -> Contest:
        texts, place = draw(plan.size(full, quick)), folder()
        mine, other = material.ours(folder=place), material.theirs(folder=place)
        contest = Contest(
            lambda: mine.encode(texts),
            {DEFAULT: encoded(other, texts, 32)},
            lambda: largest_difference(mine.encode(texts), encoded(other, texts, 32)()),
            len(texts),
            "texts",
        )
        tune(contest, BATCH_SIZES, lambda size: encoded(other, texts, size), 32)
        return measured(contest, mine, texts)

    return prepare


def tune(
    contest: Contest,
    choices: Iterable[int],
    make: Callable[[int], Run],
    default: int,
    what: str = "batch_size",
) -> None:
    """Add the best of some settings as a baseline, or say that it is their default."""
    best, sweep = fastest(choices, make)
    contest.extra["tuned"] = {what: best, "sweep_seconds": sweep}
    if best == default:
        contest.aliases = {**contest.aliases, TUNED: DEFAULT}
    else:
        contest.theirs = {**contest.theirs, TUNED: make(best)}


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
            tune(contest, (size for size in BATCH_SIZES if size <= each), every, 32)
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

    contest = Contest(
        score,
        {DEFAULT: judged(16)},
        lambda: largest_difference(
            np.array(score()), np.array(judged(16)()["spearman_cosine"]), what="spearman differs by"
        ),
        rows,
        "pairs",
        warm=False,
    )
    tune(contest, BATCH_SIZES, judged, 16)
    return contest


def encoded(model: SentenceTransformer, texts: Sequence[str], size: int) -> Run:
    """Their encode of all texts."""
    return lambda: model.encode(list(texts), batch_size=size, show_progress_bar=False)


ROWS = (
    Row(
        "encode_short",
        "STSb sentences, fp32",
        whole(material.short_texts, 800, 200),
        {DEFAULT: Goal(1.5, 1.9), TUNED: Goal(1.45)},
    ),
    Row(
        "encode_mixed",
        "5 to 256 tokens, log-uniform, fp32",
        whole(material.mixed_texts, 120, 40),
        {DEFAULT: Goal(1.25, 1.7), TUNED: Goal(1.1)},
    ),
    Row(
        "encode_long",
        "cut at 256 tokens, fp32",
        whole(material.long_texts, 40, 12),
        {DEFAULT: Goal(1.05, 1.3)},
    ),
    Row(
        "one_text",
        "one sentence a call, fp32",
        calls(material.short_texts, 1, 100, 30),
        {DEFAULT: Goal(2, 4)},
    ),
    Row(
        "small_calls",
        "32 mixed texts a call, fp32",
        calls(material.mixed_texts, 32, 4, 2),
        {DEFAULT: Goal(1.5, 2.2)},
    ),
    Row(
        "sts_eval",
        "STSb test from texts to score",
        evaluation,
        {DEFAULT: Goal(1.6, 2.2)},
        repeats=3,
    ),
)
