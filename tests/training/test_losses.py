"""Losses, compared with Eq. 2 in float64, with cross-entropy, and with the weights of Table 2."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from scenelet.config import LossConfig
from scenelet.errors import UsageError
from scenelet.training.losses import ClassBalancedFocalLoss, build_loss

TABLE_2 = [2704, 3757, 2724]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 3, generator=generator, dtype=torch.float64) * 3
    targets = torch.rand(7, 3, generator=generator, dtype=torch.float64)
    return logits, targets / targets.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("beta", "weights"), [(0.999, (1.016, 0.970, 1.014)), (0.9999, (1.091, 0.825, 1.084)), (0.99, (1.0, 1.0, 1.0))]
)
def test_normalized_weights_match_table_2(beta: float, weights: tuple[float, ...]) -> None:
    loss = ClassBalancedFocalLoss(TABLE_2, beta, 1.0, normalize=True)
    assert [round(float(w), 3) for w in loss.weights] == list(weights)


def test_raw_weights_follow_eq_2() -> None:
    loss = ClassBalancedFocalLoss([5, 50], 0.9, 0.0)
    assert loss.weights.tolist() == pytest.approx([0.1 / (1 - 0.9**5), 0.1 / (1 - 0.9**50)])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_focal_loss_equals_the_formula_in_numpy(gamma: float, activation: str) -> None:
    logits, targets = batch()
    ours = ClassBalancedFocalLoss(TABLE_2, 0.999, gamma, activation).double()
    w = (1 - 0.999) / (1 - 0.999 ** np.array(TABLE_2, np.float64))
    total = 0.0
    for z, y in zip(logits.numpy(), targets.numpy(), strict=True):
        softmax = np.exp(z) / np.exp(z).sum()
        for k in range(3):
            if activation == "softmax":
                f = -((1 - softmax[k]) ** gamma) * np.log(softmax[k])
            else:
                p = [1 / (1 + np.exp(-z[i] if i == k else z[i])) for i in range(3)]
                f = -sum((1 - q) ** gamma * np.log(q) for q in p)
            total += y[k] * w[k] * f
    assert float(ours(logits, targets)) == pytest.approx(total / 7, rel=1e-6)


def test_softmax_without_focus_or_balance_is_cross_entropy() -> None:
    logits, targets = batch()
    loss = ClassBalancedFocalLoss([10, 20, 30], 0.0, 0.0, "softmax").double()
    assert torch.allclose(loss(logits, targets), functional.cross_entropy(logits, targets))


def test_class_indices_count_as_one_hot_labels() -> None:
    logits, _ = batch()
    index = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    loss = ClassBalancedFocalLoss(TABLE_2, 0.999, 1.0).double()
    assert torch.equal(loss(logits, index), loss(logits, functional.one_hot(index, 3).double()))


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_gradients_are_finite_at_extreme_logits(activation: str) -> None:
    logits = torch.tensor([[150.0, -150.0, 0.0]], requires_grad=True)
    ClassBalancedFocalLoss(TABLE_2, 0.999, 0.5, activation)(logits, torch.tensor([1])).backward()
    assert torch.isfinite(logits.grad).all()


def test_focal_loss_with_invalid_arguments_raises() -> None:
    with pytest.raises(UsageError, match="class 1 has no training clip"):
        ClassBalancedFocalLoss([3, 0], 0.9, 1.0)
    with pytest.raises(UsageError, match="beta"):
        ClassBalancedFocalLoss([3, 3], 1.0, 1.0)
    for gamma in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match=f"beta is 0.9 and gamma {gamma:g}; beta must lie in"):
            ClassBalancedFocalLoss([3, 3], 0.9, gamma)
    with pytest.raises(UsageError, match="beta is nan"):
        ClassBalancedFocalLoss([3, 3], math.nan, 1.0)
    with pytest.raises(UsageError, match="it must be 'sigmoid' or 'softmax'"):
        ClassBalancedFocalLoss([3, 3], 0.9, 1.0, "relu")  # type: ignore[arg-type]


def test_build_loss_follows_settings() -> None:
    assert isinstance(build_loss(LossConfig(), [1, 1]), torch.nn.CrossEntropyLoss)
    assert isinstance(build_loss(LossConfig(name="class_balanced_focal"), [1, 1]), ClassBalancedFocalLoss)


def test_binary_cross_entropy_of_soft_labels_follows_its_formula() -> None:
    logits, targets = batch()
    loss = build_loss(LossConfig(name="binary_cross_entropy"), [1, 1, 1])(logits, targets)
    p = logits.sigmoid()
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-9)


def test_label_smoothing_spreads_a_fraction_of_the_label() -> None:
    logits, targets = batch()
    smoothed = build_loss(LossConfig(label_smoothing=0.3), [1, 1, 1])(logits, targets)
    expected = -((0.7 * targets + 0.1) * functional.log_softmax(logits, 1)).sum(1).mean()
    assert float(smoothed) == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(ValueError, match="label_smoothing needs name = 'cross_entropy'"):
        LossConfig(name="class_balanced_focal", label_smoothing=0.1)
