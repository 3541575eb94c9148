"""Losses over soft labels: cross-entropy, and the class-balanced focal loss of the paper's Eq. 2."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from scenelet.config import LossConfig
from scenelet.errors import UsageError


class ClassBalancedFocalLoss(nn.Module):
    """Mean over the batch of sum_k y_k w_k f(z, k), with w_k = (1 - beta) / (1 - beta^n_k).

    Eq. 2 of the paper, after Cui et al. 2019 (weights) and Lin et al. 2017 (focal term):

    - form="sigmoid": f = -sum_i (1 - p_i)^gamma log p_i, with p_i = sigmoid(z_i) for i = k and
      sigmoid(-z_i) otherwise.
    - form="softmax": f = -(1 - p_k)^gamma log p_k; with beta = gamma = 0 this is cross-entropy.

    Shape: logits (batch, classes); targets (batch, classes) label weights, or (batch,) class indices.

    Args:
        class_counts: n_k, the training clips of each class.
        beta: in [0, 1); 0 weighs all classes alike.
        gamma: focus on what is not yet learnt; 0 is none.
        form: see above.
        normalize: scale the weights to sum to the number of classes, instead of raw Eq. 2.

    Raises:
        UsageError: a class has no training clip, or beta or gamma is out of range.
    """

    weights: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        beta: float,
        gamma: float,
        form: Literal["sigmoid", "softmax"] = "sigmoid",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if min(class_counts) < 1:
            raise UsageError(f"class {list(class_counts).index(min(class_counts))} has no training clip to weigh")
        if not 0 <= beta < 1 or gamma < 0:
            raise UsageError(f"beta {beta:g} must lie in [0, 1) and gamma {gamma:g} not below 0")
        if form not in ("sigmoid", "softmax"):
            raise UsageError(f"form is {form!r}; it is 'sigmoid' or 'softmax'")
        self.gamma, self.form = gamma, form
        counts = torch.tensor(class_counts, dtype=torch.float64)
        weights = (1 - beta) / (1 - beta**counts)
        if normalize:
            weights = weights * len(class_counts) / weights.sum()
        self.register_buffer("weights", weights.float())

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(batch, classes) logits and label weights or indices -> scalar."""
        if targets.ndim == 1:
            targets = functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
        if self.form == "softmax":
            per_class = -torch.exp(self.gamma * _log_others(logits)) * functional.log_softmax(logits, dim=1)
        else:
            hit, miss = self._focal(logits), self._focal(-logits)
            per_class = hit + miss.sum(1, keepdim=True) - miss
        return (targets * self.weights.to(logits.dtype) * per_class).sum(1).mean()

    def _focal(self, z: Tensor) -> Tensor:
        """-(1 - p)^gamma log p for p = sigmoid(z); 1 - p is sigmoid(-z), exact also where p is near 1."""
        return -torch.exp(self.gamma * functional.logsigmoid(-z)) * functional.logsigmoid(z)


def _log_others(logits: Tensor) -> Tensor:
    """log(1 - p_k), p the softmax: from the other classes' logits, so that its gradient is finite at p_k = 1."""
    others = logits[:, None, :].masked_fill(
        torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device), -torch.inf
    )
    return others.logsumexp(2) - logits.logsumexp(1, keepdim=True)


def build_loss(config: LossConfig, class_counts: Sequence[int]) -> nn.Module:
    """The loss that the settings describe."""
    if config.name == "cross_entropy":
        return nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    return ClassBalancedFocalLoss(class_counts, config.beta, config.gamma, config.activation, config.normalize_weights)
