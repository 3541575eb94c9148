"""The loss of distillation against its formula."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenelet.config import LossConfig
from scenelet.training.distillation import Distillation, clip_targets
from scenelet.training.losses import build_loss

LOSSES = {
    "cross_entropy": LossConfig(label_smoothing=0.1),
    "binary_cross_entropy": LossConfig(name="binary_cross_entropy"),
    "class_balanced_focal": LossConfig(name="class_balanced_focal"),
}


def constant(logits: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a network that gives the same logits for each batch."""
    return lambda _: logits


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits of a student, labels, and logits of two teachers, (5, 4) each."""
    drawn = torch.Generator().manual_seed(0)
    z, y, t1, t2 = torch.randn(4, 5, 4, generator=drawn, dtype=torch.float64)
    return z.requires_grad_(), y.softmax(1), 3 * t1, 3 * t2


def gradient(loss: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(loss, z)[0]


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_gradient_is_that_of_labels_and_divergence(
    temperature: float, fraction: float, batch: tuple[Tensor, ...]
) -> None:
    """For cross-entropy: f (softmax(z) - y) + (1 - f) T (softmax(z / T) - softmax(t / T)), over the batch size."""
    z, y, t1, t2 = batch
    distillation = Distillation([constant(t1), constant(t2)], fraction, temperature)  # type: ignore[list-item]
    loss = distillation.loss(nn.CrossEntropyLoss(), z, torch.zeros(5, 1), y)
    taught = ((t1 + t2) / 2 / temperature).float().softmax(1)
    expected = fraction * (z.softmax(1) - y) + (1 - fraction) * temperature * ((z / temperature).softmax(1) - taught)
    torch.testing.assert_close(gradient(loss, z), expected.detach() / 5, atol=1e-7, rtol=1e-5)
    divergence = nn.functional.kl_div((z / temperature).log_softmax(1), taught.double(), reduction="batchmean")
    entropy = -(taught * taught.log()).sum(1).mean()
    whole = fraction * nn.functional.cross_entropy(z, y) + (1 - fraction) * temperature**2 * (divergence + entropy)
    assert loss.item() == pytest.approx(whole.item(), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_temperature_one_mixes_labels(name: str, batch: tuple[Tensor, ...]) -> None:
    """Every loss is linear in its labels, so temperature 1 has the limit of others as its loss."""
    z, y, t, _ = batch
    loss = build_loss(LOSSES[name], [5, 3, 8, 2])
    mixed = loss(z, 0.3 * y + (1 - 0.3) * t.float().softmax(1))

    def distilled(temperature: float) -> Tensor:
        return Distillation([constant(t)], 0.3, temperature).loss(loss, z, torch.zeros(5, 1), y)  # type: ignore[list-item]

    assert torch.equal(distilled(1.0), mixed)
    assert distilled(1 + 1e-7).item() == pytest.approx(mixed.item(), rel=1e-5)
    assert distilled(2.0).item() != pytest.approx(mixed.item(), rel=1e-2)


def test_answers_of_files_and_networks_are_averaged_over_teachers(batch: tuple[Tensor, ...]) -> None:
    z, y, t, other = batch
    answers = torch.from_numpy(clip_targets([other.numpy(), other.numpy()], 2.0))
    loss = nn.CrossEntropyLoss()
    found = Distillation([constant(t)], 0.0, 2.0, files=2).loss(  # type: ignore[list-item]
        loss, z, torch.zeros(5, 1), torch.hstack([y, answers])
    )
    targets = ((t / 2).softmax(1) + 2 * (other / 2).softmax(1)) / 3
    assert found.item() == pytest.approx(4 * loss(z / 2, targets).item(), rel=1e-6)
    only_files = Distillation([], 0.0, 2.0, files=2).loss(loss, z, torch.zeros(5, 1), torch.hstack([y, answers]))
    assert only_files.item() == pytest.approx(4 * loss(z / 2, (other / 2).softmax(1)).item(), rel=1e-6)


def test_clip_targets_average_logits_before_the_softmax() -> None:
    first, second = np.array([[[4, 0, 0]], [[0, 2, 0]]], np.float32)
    expected = torch.tensor([[2.0, 1.0, 0.0]]).div(2).softmax(1)
    np.testing.assert_allclose(clip_targets([first, second], 2.0), expected.numpy(), rtol=1e-6)


def test_teachers_get_no_gradient() -> None:
    teacher = nn.Linear(3, 4)
    z = torch.zeros(2, 4, requires_grad=True)
    loss = Distillation([teacher], 0.5, 2.0).loss(nn.CrossEntropyLoss(), z, torch.ones(2, 3), torch.eye(4)[:2])
    loss.backward()  # type: ignore[no-untyped-call]
    assert teacher.weight.grad is None
    assert z.grad is not None
