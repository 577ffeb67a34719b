"""Rows about encoding in bf16, where the CPU computes it (AMX): against fp32, bf16 and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.benchmarks import material
from tests.benchmarks.counting import measured
from tests.benchmarks.encode_rows import BATCH_SIZES, Draw, encoded, tune
from tests.benchmarks.goal import Goal
from tests.benchmarks.openvino_baseline import OPENVINO, OpenVino
from tests.benchmarks.row import DEFAULT, TUNED, Contest, Missing, Plan, Row, smallest_cosine
from tests.benchmarks.timing import Run, fastest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from sbert_cli.engine.embedder import Embedder

OPENVINO_SIZES = (16, 32, 64)


def whole(draw: Draw, full: int, quick: int) -> Callable[[Plan], Contest]:
    """Ours in bf16; default is sentence-transformers in fp32, tuned its best bf16."""

    def prepare(plan: Plan) -> Contest:
        mine, plain = material.ours("bf16"), material.theirs()
        half = material.theirs(bf16=True)
        texts = draw(plan.size(full, quick))
        contest = against_both(mine, plain, half, texts, "bf16", BATCH_SIZES)
        add_openvino(contest, texts)
        return measured(contest, mine, texts)

    return prepare


def against_both(
    mine: Embedder,
    plain: SentenceTransformer,
    half: SentenceTransformer,
    texts: list[str],
    precision: str,
    sizes: Sequence[int],
) -> Contest:
    """Our bf16 against theirs in fp32 by default, and at their best batch size in bf16."""
    contest = Contest(
        lambda: mine.encode(texts),
        {DEFAULT: encoded(plain, texts, 32)},
        lambda: smallest_cosine(mine.encode(texts), encoded(plain, texts, 32)()),
        len(texts),
        "texts",
        precision=precision,
    )
    tune(contest, sizes, lambda size: encoded(half, texts, size), 0)
    contest.extra["tuned"]["dtype"] = "bf16"
    return contest


def add_openvino(contest: Contest, texts: list[str]) -> None:
    """OpenVINO at its best batch size as one more baseline, or why it is not here."""
    try:
        engine = OpenVino()
    except Missing as missing:
        contest.absent = {OPENVINO: str(missing)}
        return

    def every(size: int) -> Run:
        def run() -> object:
            return engine.encode(texts, size)

        return run

    best, sweep = fastest(OPENVINO_SIZES, every)
    contest.theirs = {**contest.theirs, OPENVINO: every(best)}
    contest.extra["openvino"] = {"batch_size": best, "sweep_seconds": sweep}


GOALS = {DEFAULT: Goal(3.6, 6), TUNED: Goal(1.6), OPENVINO: Goal(aim=1)}
LONGER = {DEFAULT: Goal(3, 5)}
ROWS = (
    Row(
        "bf16_short",
        "STSb sentences, bf16; default is ST fp32, tuned ST bf16",
        whole(material.short_texts, 800, 200),
        GOALS,
    ),
    Row(
        "bf16_mixed",
        "5 to 256 tokens, log-uniform, bf16; default is ST fp32, tuned ST bf16",
        whole(material.mixed_texts, 120, 40),
        LONGER,
    ),
    Row(
        "bf16_long",
        "cut at 256 tokens, bf16; default is ST fp32, tuned ST bf16",
        whole(material.long_texts, 40, 12),
        LONGER,
    ),
)
