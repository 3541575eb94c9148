"""Losses over soft labels: cross-entropy, its binary form, and the class-balanced focal loss of Eq. 2 of the paper."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from scenelet.config import LossConfig
from scenelet.errors import UsageError


class ClassBalancedFocalLoss(nn.Module):
    """Class-balanced focal loss: the mean over the batch of sum_k y_k w_k f(z, k).

    The class weights are w_k = (1 - beta) / (1 - beta^n_k). This is Eq. 2 of the paper, after Cui et al. 2019 (weights)
    and Lin et al. 2017 (focal term):

    - activation="sigmoid": f = -sum_i (1 - p_i)^gamma log p_i, with p_i = sigmoid(z_i) for i = k and
      sigmoid(-z_i) otherwise.
    - activation="softmax": f = -(1 - p_k)^gamma log p_k; with beta = gamma = 0 this is cross-entropy.

    Shape: logits (batch, classes); targets (batch, classes) label weights, or (batch,) class indices.

    Args:
        class_counts: number of training clips of each class, n_k.
        beta: balance, in [0, 1); 0 weighs all classes alike.
        gamma: focus on badly classified clips, finite and not negative; 0 turns it off.
        activation: sigmoid or softmax, see above.
        normalize: scale the weights so that they sum to the number of classes, instead of raw Eq. 2.

    Raises:
        UsageError: a class has no training clip, or beta or gamma is out of range.

    >>> loss = ClassBalancedFocalLoss([10, 1000], beta=0.99, gamma=1.0, normalize=True)
    >>> [round(weight, 2) for weight in loss.weights.tolist()]  # the rare class counts more
    [1.83, 0.17]
    >>> logits = torch.tensor([[2.0, -1.0]])
    >>> round(loss(logits, torch.tensor([[1.0, 0.0]])).item(), 3)  # the same as for the class index torch.tensor([0])
    0.181
    """

    weights: Tensor

    def __init__(
        self,
        class_counts: Sequence[int],
        beta: float,
        gamma: float,
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        normalize: bool = False,
    ) -> None:
        super().__init__()
        if min(class_counts) < 1:
            raise UsageError(f"class {list(class_counts).index(min(class_counts))} has no training clip to weigh")
        if not (0 <= beta < 1 and 0 <= gamma < math.inf):
            raise UsageError(f"beta is {beta:g} and gamma {gamma:g}; beta must lie in [0, 1), gamma in [0, infinity)")
        if activation not in ("sigmoid", "softmax"):
            raise UsageError(f"activation is {activation!r}; it must be 'sigmoid' or 'softmax'")
        self.gamma, self.activation = gamma, activation
        counts = torch.tensor(class_counts, dtype=torch.float64)
        weights = (1 - beta) / (1 - beta**counts)
        if normalize:
            weights = weights * len(class_counts) / weights.sum()
        self.register_buffer("weights", weights.float())

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar, for logits and label weights or class indices."""
        if targets.ndim == 1:
            targets = functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
        if self.activation == "softmax":
            per_class = -torch.exp(self.gamma * _log_one_minus_softmax(logits)) * functional.log_softmax(logits, dim=1)
        else:
            hit, miss = self._focal(logits), self._focal(-logits)
            per_class = hit + miss.sum(1, keepdim=True) - miss
        return (targets * self.weights.to(logits.dtype) * per_class).sum(1).mean()

    def _focal(self, z: Tensor) -> Tensor:
        """Return -(1 - p)^gamma log p for p = sigmoid(z).

        1 - p is computed as sigmoid(-z), which is exact even if p is close to 1.
        """
        return -torch.exp(self.gamma * functional.logsigmoid(-z)) * functional.logsigmoid(z)


def _log_one_minus_softmax(logits: Tensor) -> Tensor:
    """Return log(1 - p_k) for p = softmax(logits).

    It is computed from the logits of the other classes, so that its gradient is finite at p_k = 1.
    """
    others = logits[:, None, :].masked_fill(
        torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device), -torch.inf
    )
    return others.logsumexp(2) - logits.logsumexp(1, keepdim=True)


def build_loss(config: LossConfig, class_counts: Sequence[int]) -> nn.Module:
    """Build the loss that the settings describe; `class_counts` are the training clips of each class.

    Binary cross-entropy takes a sigmoid of each logit. It is the mean over clips and classes, so the sum over classes
    divided by their number.

    >>> build_loss(LossConfig(label_smoothing=0.1), [8, 8])
    CrossEntropyLoss()
    """
    if config.name == "cross_entropy":
        return nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    if config.name == "binary_cross_entropy":
        return nn.BCEWithLogitsLoss()
    return ClassBalancedFocalLoss(class_counts, config.beta, config.gamma, config.activation, config.normalize_weights)
