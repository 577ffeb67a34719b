"""Losses against sentence-transformers' own modules: value and gradient."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from sbert_cli.errors import UsageError
from sbert_cli.losses import LOSSES, CosineLoss, SoftmaxLoss


class Given(nn.Module):
    """Stands in for their model: gives back the embeddings it is handed."""

    device = torch.device("cpu")

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": features["x"]}


def columns(case: int, rows: int, dim: int = 6) -> list[Tensor]:
    generator = torch.Generator().manual_seed(case)
    made = [torch.randn(rows, dim, generator=generator) for _ in range(2)]
    if case % 5 == 0:
        made[1] = made[0].clone()  # equal vectors
    return [column.requires_grad_() for column in made]


def gradients(loss: Tensor, leaves: Iterable[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(leaves)))


def check(ours: nn.Module, theirs: nn.Module, case: int, labels: Tensor) -> None:
    u = columns(case, len(labels))
    value = ours(u, labels)
    expected = theirs([{"x": column} for column in u], labels)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    for a, b in zip(gradients(value, u), gradients(expected, u), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", range(20))
def test_cosine_equals_reference(case: int) -> None:
    from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss

    labels = torch.rand(1 + case % 7, generator=torch.Generator().manual_seed(case))
    check(CosineLoss(), CosineSimilarityLoss(Given()), case, labels)


@pytest.mark.parametrize("case", range(20))
def test_softmax_equals_reference(case: int) -> None:
    from sentence_transformers.sentence_transformer.losses import SoftmaxLoss as Theirs

    parts = [(True, True, False), (True, False, False), (False, True, True), (True, True, True)]
    rep, difference, multiplication = parts[case % 4]
    classes = 2 + case % 4
    ours = SoftmaxLoss(6, classes, rep, difference, multiplication)
    theirs = Theirs(Given(), 6, classes, rep, difference, multiplication)
    theirs.classifier.load_state_dict(ours.classifier.state_dict())
    generator = torch.Generator().manual_seed(case)
    labels = torch.randint(classes, (1 + case % 6,), generator=generator)
    check(ours, theirs, case, labels)


def test_softmax_needs_a_part() -> None:
    with pytest.raises(UsageError, match="at least one part"):
        SoftmaxLoss(6, 3, False, False, False)


def test_cosine_worked_example() -> None:
    u, v = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, -1.0]])
    labels = torch.tensor([1.0, 1.0])  # cosines 1 and 0: errors 0 and 1
    assert LOSSES["cosine"]()([u, v], labels).item() == pytest.approx(0.5)
