"""Rows on a GPU; skipped, and saying so, where torch sees none.

Theirs by default is fp32 without TF32, as torch ships; tuned is bf16 at its best batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

import torch

from tests.benchmarks import material, random_models
from tests.benchmarks.bf16_rows import against_both
from tests.benchmarks.counting import measured
from tests.benchmarks.encode_rows import Draw, Folder
from tests.benchmarks.goal import Goal
from tests.benchmarks.row import DEFAULT, TUNED, Contest, Missing, Plan, Row
from tests.benchmarks.train_rows import HALF, training
from tests.benchmarks.training_task import nli
from tests.benchmarks.training_trainer import TRAINER

BATCH_SIZES = (32, 128, 512, 2_048)
Prepare = Callable[[Plan], Contest]


def on_gpu(prepare: Prepare) -> Prepare:
    """`prepare` where there is a GPU, else Missing."""

    @wraps(prepare)
    def checked(plan: Plan) -> Contest:
        if not torch.cuda.is_available():
            raise Missing("torch sees no CUDA device")
        contest = prepare(plan)
        contest.extra["gpu"] = torch.cuda.get_device_name()
        contest.detail += f", {contest.extra['gpu']}"
        return contest

    return checked


def whole(draw: Draw, full: int, quick: int, folder: Folder = material.model_folder) -> Prepare:
    """Encode all texts in one call in bf16."""

    def prepare(plan: Plan) -> Contest:
        place, texts = folder(), draw(plan.size(full, quick))
        mine = material.ours("bf16", folder=place, device="cuda")
        plain = material.theirs(folder=place, device="cuda")
        half = material.theirs(bf16=True, folder=place, device="cuda")
        contest = against_both(mine, plain, half, texts, "cuda bf16", BATCH_SIZES)
        return measured(contest, mine, texts)

    return on_gpu(prepare)


ROWS = (
    Row(
        "gpu_short",
        "MiniLM, STSb sentences, bf16; default is ST fp32, tuned ST bf16",
        whole(material.short_texts, 15_000, 2_000),
        {DEFAULT: Goal(15, 40), TUNED: Goal(2, 5)},
    ),
    Row(
        "gpu_mixed",
        "BERT base, random weights, 5 to 256 tokens, bf16; default is ST fp32, tuned ST bf16",
        whole(material.mixed_texts, 8_000, 1_000, random_models.bert_base),
        {DEFAULT: Goal(6, 15), TUNED: Goal(1.3, 2)},
    ),
    Row(
        "gpu_train_nli",
        "softmax loss, batch 16, ours in bf16",
        on_gpu(training(partial(nli, device="cuda"), 16, 200, 20, bf16=True)),
        {TRAINER: Goal(2, 4), HALF: Goal(2, 4)},
        repeats=3,
    ),
)
