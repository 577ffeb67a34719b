"""A bare loop over the model and loss of sentence-transformers: less work than their trainer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.benchmarks import material
from tests.benchmarks.training_task import DECAY, NORM, RATE, SPARED, WARM, Task, their_loss

BARE = "ST bare loop"


class BareTraining:
    """Tokenised batch by batch, as their collator does."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = material.theirs(device=task.device)
        self.loss = their_loss(self.model, task).to(self.model.device)

    def run(self) -> list[float]:
        """Train one epoch, nothing saved; gives the loss of every step."""
        steps = len(self.task) // self.task.batch
        warm = int(np.ceil(WARM * steps))
        optimizer = torch.optim.AdamW(self._groups(), lr=RATE, fused=True)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda s: s / warm if s < warm else (steps - s) / (steps - warm)
        )
        self.loss.train()
        values = []
        for rows in self.task.order():
            value = self._value(rows)
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.loss.parameters(), NORM)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
            values.append(float(value.detach()))
        return values

    def _value(self, rows: Any) -> Any:
        from sentence_transformers.util import batch_to_device

        features = [
            batch_to_device(self.model.preprocess([column[row] for row in rows]), self.model.device)
            for column in self.task.columns
        ]
        given = self.task.labels
        labels = (
            None
            if given is None
            else torch.tensor([given[row] for row in rows], device=self.model.device)
        )
        return self.loss(features, labels)

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": DECAY},
            {"params": [], "weight_decay": 0.0},
        ]
        for name, parameter in self.loss.named_parameters():
            groups[any(part in name for part in SPARED)]["params"].append(parameter)
        return groups
