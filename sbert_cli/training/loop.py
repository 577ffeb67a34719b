"""The training loop, in full view: no callbacks, no hidden steps.

Knows embeddings, losses and batches; the dev score comes from a function it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from sbert_cli.console import Progress, note, progress
from sbert_cli.encoder import SentenceEncoder, save_folder
from sbert_cli.engine.device import Compute
from sbert_cli.errors import NumericalError
from sbert_cli.report.run import RunFolder
from sbert_cli.training.examples import Examples, Rows, batches
from sbert_cli.training.schedule import Schedule
from sbert_cli.training.settings import TrainSettings

# Metrics by name and the name of the one that decides.
Scores = tuple[dict[str, float], str]


@dataclass(slots=True)
class Best:
    """The best dev score so far, and how many evaluations ago."""

    score: float = -math.inf
    step: int = 0
    waiting: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)  # (step, score)


def steps_per_epoch(rows: int, settings: TrainSettings) -> int:
    """Optimizer steps in an epoch; the last batch may be smaller."""
    return math.ceil(math.ceil(rows / settings.batch_size) / settings.accumulate)


def total_steps(rows: int, settings: TrainSettings) -> int:
    """Optimizer steps of the whole training."""
    steps = settings.epochs * steps_per_epoch(rows, settings)
    return min(steps, settings.max_steps or steps)


class Trainer:
    """Everything one training needs; `fit` runs it."""

    def __init__(  # noqa: PLR0913 - the parts of a training
        self,
        encoder: SentenceEncoder,
        loss: nn.Module,
        examples: Examples,
        *,
        settings: TrainSettings,
        compute: Compute,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        run: RunFolder,
        evaluate: Callable[[int], Scores] | None,
    ) -> None:
        self.encoder = encoder
        self.loss = loss
        self.examples = examples
        self.settings = settings
        self.compute = compute
        self.optimizer = optimizer
        self.schedule = schedule
        self.run = run
        self.evaluate = evaluate
        self.best = Best()
        self.best_folder: Path = run.path / "best"
        self._peaks = [group["lr"] for group in optimizer.param_groups]
        self._scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.precision == "fp16"
        )
        self._losses: list[float] = []

    def fit(self) -> Best:
        """Train to the end or until early_stop; the best model lies in `best_folder`."""
        settings, rows = self.settings, len(self.examples)
        total = total_steps(rows, settings)
        step = 0
        if self.evaluate and settings.eval_start:
            self._look(step, candidate=False)
        with progress("training", total) as bar:
            for epoch in range(settings.epochs):
                self.encoder.train()
                group: list[Rows] = []
                left = math.ceil(rows / settings.batch_size)
                for batch in batches(rows, settings.batch_size, settings.seed, epoch):
                    group.append(batch)
                    left -= 1
                    if len(group) < settings.accumulate and left:
                        continue
                    self._step(step, group)
                    group = []
                    step += 1
                    self._tell(step, bar)
                    ends = left == 0 or step == total
                    due = settings.eval_steps and step % settings.eval_steps == 0
                    if (ends or due) and self.evaluate:
                        self._look(step)
                    if step == total or self._is_stuck():
                        break
                if step == total or self._is_stuck():
                    break
        if not self.best_folder.exists():  # no evaluator, or no score but NaN: the last model
            self._keep(step)
        return self.best

    def _step(self, step: int, group: list[Rows]) -> None:
        """One optimizer step over a group of batches, as over one batch of all their rows."""
        settings = self.settings
        # Dropout depends on seed and step alone, not on what ran before.
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for values, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            values["lr"] = peak * self.schedule(step)
        rows = sum(len(batch) for batch in group)
        mean = 0.0
        for batch_rows in group:
            batch = self.examples.batch(batch_rows, self.compute.device)
            with self.compute.autocast():
                vectors = self.encoder(batch.features)
            loss = self.loss(batch.split(vectors.float()), batch.labels)
            share = len(batch_rows) / rows
            value = float(loss.detach())
            if not math.isfinite(value):
                self._stop_diverged(step + 1, value)
            mean += share * value
            self._scaler.scale(loss * share).backward()
        self._scaler.unscale_(self.optimizer)
        parameters = [p for values in self.optimizer.param_groups for p in values["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self._losses.append(mean)

    def _tell(self, step: int, bar: Progress) -> None:
        """Write the mean loss of the last `log_steps` steps and move the bar."""
        bar.describe(loss=self._losses[-1])
        bar.advance()
        if step % self.settings.log_steps == 0:
            rate = self.optimizer.param_groups[0]["lr"]
            mean = sum(self._losses) / len(self._losses)
            self.run.record({"step": step, "epoch": self._epoch(step), "loss": mean, "lr": rate})
            self._losses.clear()

    def _look(self, step: int, *, candidate: bool = True) -> None:
        """Evaluate on the dev set and keep the model if it is the best so far."""
        assert self.evaluate is not None
        metrics, primary = self.evaluate(step)
        score = metrics[primary]
        row = {"step": step, "epoch": self._epoch(step), "dev": metrics, "primary": primary}
        self.run.record(row)
        self.best.history.append((step, score))
        better = candidate and score > self.best.score
        when = f"step {step:,}" if step else "before training"
        note(f"dev {primary} {score:.2f} {when}{', the best so far' if better else ''}")
        self.run.log(f"dev {primary} {score:.4f} at step {step}")
        if better:
            self.best.score, self.best.waiting = score, 0
            self._keep(step)
        elif candidate:
            self.best.waiting += 1
        self.run.status("running", step=step)
        self.encoder.train()

    def _keep(self, step: int) -> None:
        save_folder(self.encoder, self.best_folder, overwrite=True)
        self.best.step = step

    def _is_stuck(self) -> bool:
        patience = self.settings.early_stop
        return patience is not None and self.best.waiting >= patience

    def _epoch(self, step: int) -> float:
        return round(step / steps_per_epoch(len(self.examples), self.settings), 4)

    def _stop_diverged(self, step: int, value: float) -> None:
        kept = "the best model so far is kept" if self.best_folder.exists() else "no model was kept"
        raise NumericalError(
            f"the loss is {value} at step {step:,}; {kept}",
            where=str(self.best_folder if self.best_folder.exists() else self.run.path),
            fix="a smaller optimizer.lr, a longer warm-up or engine.precision=fp32",
        )
