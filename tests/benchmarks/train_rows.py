"""Rows about training: the same rows in the same order, from texts to a saved model.

Theirs is a bare loop over their model and loss: less work than their trainer does, which needs
packages that the tests do not install.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks import material
from tests.benchmarks.row import Contest, Parity, Plan, Row, largest_difference

if TYPE_CHECKING:
    from torch import nn

BATCH = 16
GATE_STEPS = 6
LOSS_LIMIT = 1e-4  # rounding grows from step to step
RATE, DECAY, WARM, NORM = 2e-5, 0.01, 0.1, 1.0  # configs/optimizer/adamw.yaml, configs/train.yaml
SPARED = ["bias", "LayerNorm.weight"]
BARE = "ST bare loop"


@dataclass(frozen=True, slots=True)
class Task:
    """Two columns of texts, their labels, and the loss, `cosine` or `softmax`."""

    loss: str
    columns: tuple[list[str], list[str]]
    labels: Sequence[float]


def training(task: Callable[[int], Task], full: int, quick: int) -> Callable[[Plan], Contest]:
    """So many steps of 16 rows with the model's dropout; parity is the loss curve without it."""

    def prepare(plan: Plan) -> Contest:
        steps = plan.size(full, quick)
        timed = task(BATCH * steps)
        mine, other = OurTraining(timed), TheirTraining(timed)
        return Contest(
            mine.run, {BARE: other.run}, lambda: same_losses(task(BATCH * GATE_STEPS)), steps,
            "steps",
        )  # fmt: skip

    return prepare


def same_losses(task: Task) -> Parity:
    """Whether the losses of every step agree, dropout off on both sides."""
    mine, other = OurTraining(task), TheirTraining(task)
    for model in (mine.encoder, other.model):
        silence(model)
    other.copy_classifier(mine.loss)
    ours, theirs = np.array(mine.run()), np.array(other.run())
    return largest_difference(ours, theirs, LOSS_LIMIT, "losses without dropout differ by")


def silence(model: nn.Module) -> None:
    """Set every dropout to zero; the attention of BERT asks such a module too."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


class OurTraining:
    """The training loop behind `sbert train`, without an evaluator."""

    def __init__(self, task: Task) -> None:
        from sbert_cli.engine.device import choose
        from sbert_cli.engine.settings import EngineSettings
        from sbert_cli.losses import CosineLoss, SoftmaxLoss

        self.task = task
        self.encoder = material.ours().encoder
        cosine = task.loss == "cosine"
        self.loss = CosineLoss() if cosine else SoftmaxLoss(self.encoder.dim, 3, True, True, False)
        self.compute = choose(EngineSettings("cpu", "fp32", None, "auto", 1))

    def run(self) -> list[float]:
        """Tokenise, train one epoch, save; gives the loss of every step."""
        import json

        from sbert_cli.report.run import RunFolder

        with tempfile.TemporaryDirectory() as place:
            folder = RunFolder("train", str(Path(place, "run")))
            self._trainer(folder).fit()
            rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
        return [row["loss"] for row in rows if "loss" in row]

    def _trainer(self, folder: Any) -> Any:
        from sbert_cli.training.examples import tokenize
        from sbert_cli.training.loop import Trainer
        from sbert_cli.training.optimizer import adamw
        from sbert_cli.training.plan import Objective, epoch_ends
        from sbert_cli.training.sampler import random
        from sbert_cli.training.schedule import warmuplinear
        from sbert_cli.training.settings import TrainSettings

        settings = TrainSettings(
            epochs=1, max_steps=None, steps_per_epoch=None, mix="round_robin", batch_size=BATCH,
            accumulate=1, max_grad_norm=NORM, seed=1, eval_start=False, eval_steps=0,
            checkpoint_steps=0, checkpoint_limit=0, early_stop=None, log_steps=1,
        )  # fmt: skip
        given = np.asarray(self.task.labels)
        scores = self.task.loss == "cosine"
        labels = given.astype(np.float32) if scores else given.astype(np.int64)
        data = tokenize(self.encoder.tokenizer, self.task.columns, labels)
        objectives = [Objective("main", data, self.loss, random(), BATCH)]
        ends = epoch_ends(objectives, settings)
        named = [*self.encoder.named_parameters(), *self.loss.named_parameters()]
        return Trainer(
            self.encoder, objectives, ends=ends, settings=settings, compute=self.compute,
            optimizer=adamw(parameters=named, lr=RATE, betas=[0.9, 0.999], eps=1e-8,
                            weight_decay=DECAY, no_decay=SPARED),
            schedule=warmuplinear(warmup_ratio=WARM, warmup_steps=None, total_steps=ends[-1]),
            run=folder, evaluate=None,
        )  # fmt: skip


class TheirTraining:
    """Their model and loss in a loop: tokenised batch by batch, as their collator does."""

    def __init__(self, task: Task) -> None:
        from sentence_transformers.sentence_transformer import losses

        self.task = task
        self.model = material.theirs()
        cosine = task.loss == "cosine"
        self.loss: Any = (
            losses.CosineSimilarityLoss(self.model)
            if cosine
            else losses.SoftmaxLoss(self.model, 384, 3)
        )

    def copy_classifier(self, loss: nn.Module) -> None:
        """Start from the classifier of our loss, where there is one."""
        if self.task.loss == "softmax":
            self.loss.classifier.load_state_dict(loss.classifier.state_dict())  # type: ignore[union-attr]

    def run(self) -> list[float]:
        """Train one epoch and save; gives the loss of every step."""
        import torch

        steps = len(self.task.labels) // BATCH
        warm = int(np.ceil(WARM * steps))
        optimizer = torch.optim.AdamW(self._groups(), lr=RATE, fused=True)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda s: s / warm if s < warm else (steps - s) / (steps - warm)
        )
        self.loss.train()
        values = []
        for rows in order(len(self.task.labels)):
            features = [
                self.model.preprocess([column[row] for row in rows]) for column in self.task.columns
            ]
            labels = torch.tensor([self.task.labels[row] for row in rows])
            value = self.loss(features, labels)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.loss.parameters(), NORM)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            values.append(float(value.detach()))
        with tempfile.TemporaryDirectory() as place:
            self.model.save(place, create_model_card=False)
        return values

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": DECAY},
            {"params": [], "weight_decay": 0.0},
        ]
        for name, parameter in self.loss.named_parameters():
            groups[any(part in name for part in SPARED)]["params"].append(parameter)
        return groups


def order(count: int) -> Any:
    """The batches of the first epoch, as our sampler draws them."""
    from sbert_cli.training.examples import Examples
    from sbert_cli.training.sampler import random

    rows = Examples(None, (np.arange(count),), None)  # type: ignore[arg-type]
    return random().batches(rows, BATCH, 1, 0)


def stsb(count: int) -> Task:
    """Pairs of the STS benchmark with scores from 0 to 1."""
    left, right, scores = material.stsb_pairs("train")
    return Task("cosine", (left[:count], right[:count]), scores[:count])


def nli(count: int) -> Task:
    """Pairs of natural language inference with three classes."""
    left, right, labels = material.nli_pairs(count)
    return Task("softmax", (left, right), labels)


ROWS = (
    Row("train_stsb", "cosine loss, 16 pairs a step, fp32, with saving", training(stsb, 15, 4)),
    Row("train_nli", "softmax loss, 16 pairs a step, fp32, with saving", training(nli, 15, 4)),
)
