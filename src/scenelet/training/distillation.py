"""Distillation: the answers of teachers in the loss of a training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Distillation:
    """Teachers of a training, and their part in its loss (Hinton et al. 2015).

    With the logits z of the student, the mean logits t of the teachers, labels y, temperature T, label fraction f and
    the loss L of the run:

    f L(z, y) + (1 - f) T^2 L(z / T, softmax(t / T))

    For cross-entropy, the second term is T^2 KL(softmax(t / T) || softmax(z / T)) plus T^2 times the teachers' entropy,
    which does not depend on the student. All losses are linear in their labels. So at T = 1, this is L of the labels
    f y + (1 - f) softmax(t).

    Networks answer the batch that the student gets, augmented and mixed. Logits from files belong to clips. Their
    softmax is mixed as the labels are, and comes with them. With both kinds, the targets are the mean over all
    teachers.

    Attributes:
        networks: teachers in eval mode. They are no submodules of the training's module, and not in its checkpoints.
        label_fraction: f.
        temperature: T.
        files: number of teachers whose answers come with the labels, see `clip_targets`.

    >>> x, logits = torch.zeros(1, 3), torch.tensor([[1.0, 0.0]])
    >>> same, other = (Distillation([nn.Linear(3, 2, bias=False)], fraction) for fraction in (1.0, 0.0))
    >>> labels = torch.tensor([[1.0, 0.0]])
    >>> [round(each.loss(nn.CrossEntropyLoss(), logits, x, labels).item(), 3) for each in (same, other)]
    [0.313, 0.813]
    """

    networks: Sequence[nn.Module] = ()
    label_fraction: float = 0.5
    temperature: float = 1.0
    files: int = 0

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        for network in self.networks:
            network.to(device)

    def loss(self, loss: nn.Module, logits: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            loss: L, a function of logits and label weights, both (batch, classes).
            logits: (batch, classes) of the student.
            x: (batch, channels, n_mels, frames), the batch that the student got.
            y: (batch, classes) label weights. With teachers from files, their answers follow in `classes` more columns.
        """
        classes, fraction, temperature = logits.shape[1], self.label_fraction, self.temperature
        labels, targets = y[:, :classes], self._targets(x, y[:, classes:])
        result: Tensor
        if temperature == 1:
            result = loss(logits, fraction * labels + (1 - fraction) * targets)
        else:
            taught = temperature**2 * loss(logits / temperature, targets)
            result = fraction * loss(logits, labels) + (1 - fraction) * taught
        return result

    @torch.no_grad()
    def _targets(self, x: Tensor, of_files: Tensor) -> Tensor:
        """Return the mean answers of all teachers, (batch, classes)."""
        if not self.networks:
            return of_files
        logits = torch.stack([network(x).float() for network in self.networks]).mean(0)
        targets = (logits / self.temperature).softmax(1)
        if self.files:
            count = len(self.networks)
            targets = (count * targets + self.files * of_files) / (count + self.files)
        return targets


def clip_targets(logits: Sequence[NDArray[np.float32]], temperature: float) -> NDArray[np.float32]:
    """Average the logits of several teachers, (clips, classes) each, and return their softmax at a temperature.

    >>> clip_targets([np.array([[2.0, 0.0]], np.float32), np.array([[0.0, 2.0]], np.float32)], temperature=2.0).tolist()
    [[0.5, 0.5]]
    """
    mean = torch.from_numpy(np.mean(logits, axis=0, dtype=np.float64))
    return (mean / temperature).softmax(1).float().numpy()
