"""Rows about other models and other texts: duplicates, MPNet, a CLS token, loading a model."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import material, random_models
from tests.benchmarks.encode_rows import whole
from tests.benchmarks.goal import Goal
from tests.benchmarks.row import DEFAULT, TUNED, Contest, Plan, Row, largest_difference

COPIES = 3  # of each premise in natural language inference


def duplicates(count: int) -> list[str]:
    """Both columns of inference pairs: each premise three times with a hypothesis of its own."""
    distinct = material.short_texts(count * (1 + COPIES) // (2 * COPIES))
    premises = len(distinct) // (1 + COPIES)
    hypotheses = distinct[premises : premises * (1 + COPIES)]
    return [text for place, text in enumerate(hypotheses) for text in (distinct[place // 3], text)]


def repeated(plan: Plan) -> Contest:
    """Encode both columns; work that is left out is no arithmetic that a share could count."""
    contest = whole(duplicates, 900, 240)(plan)
    contest.flops = 0.0
    return contest


def loading(plan: Plan) -> Contest:
    """From a folder to the first vector, everything imported already."""
    text = material.short_texts(1)

    def ours() -> Any:
        return material.ours().encode(text)

    def theirs() -> Any:
        return material.theirs().encode(text, show_progress_bar=False)

    return Contest(
        ours, {DEFAULT: theirs}, lambda: largest_difference(ours(), theirs()), 1, "loads"
    )


ROWS = (
    Row(
        "duplicates",
        "each premise three times, every hypothesis once, fp32",
        repeated,
        {DEFAULT: Goal(2.1, 2.7)},  # 0.95 × the 1.5 texts to one distinct × encode_short's
    ),
    Row(
        "mpnet",
        "random weights as small as MiniLM's, 5 to 256 tokens, fp32",
        whole(material.mixed_texts, 100, 24, random_models.small_mpnet),
        {DEFAULT: Goal(1.2, 1.8), TUNED: Goal(1.2, 1.6)},
    ),
    Row(
        "cls",
        "random weights as small as MiniLM's, CLS pooling, STSb sentences, fp32",
        whole(material.short_texts, 600, 160, random_models.small_cls),
        {DEFAULT: Goal(1.6, 2.0), TUNED: Goal(1.5)},
    ),
    Row("model_load", "folder to first vector, imports done", loading, {DEFAULT: Goal(3, 10)}),
)
