"""Official baseline of DCASE 2020 Task 1B, with which every system of the challenge was compared."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn.dropout import Dropout
from scenelet.nn.norm import BatchNorm
from scenelet.nn.registry import register_model

KERAS_EPS, KERAS_MOMENTUM = 1e-3, 0.01  # Keras's defaults; its momentum of 0.99 is 0.01 in PyTorch
WIDTHS, HIDDEN, DROPOUT = (32, 64), 100, 0.3
FIRST_POOL, SECOND_POOL = (5, 5), (4, 100)


@register_model("dcase2020_baseline")
class Dcase2020Baseline(nn.Module):
    """Baseline network: two 7x7 convolutions and two dense layers (Heittola, Mesaros and Virtanen, DCASE 2020).

    It has 115,411 parameters for 3 classes, and 115,219 without those of batch norm. The original input is 40 log-mel
    bands and 500 frames of a 10 s mono clip, and the second pool covers 100 columns. For a shorter clip the pool covers
    all columns, so the size of the dense layer stays the same.

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        n_mels: mel bands of the input, at least 20.
        frames: frames of the input, at least 5.
        generator: the source of the initial weights.

    Shape: (batch, in_channels, n_mels, frames) -> logits (batch, num_classes).

    Raises:
        UsageError: `n_mels` or `frames` is too small, so the pools would leave nothing.

    >>> network = Dcase2020Baseline(num_classes=3)
    >>> sum(p.numel() for p in network.parameters())
    115411
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 1,
        n_mels: int = 40,
        frames: int = 501,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        rows, columns = n_mels // FIRST_POOL[0], frames // FIRST_POOL[1]
        if rows < SECOND_POOL[0] or columns < 1:
            raise UsageError(f"dcase2020_baseline needs at least 20 mel bands and 5 frames; got {n_mels} and {frames}")
        pool = SECOND_POOL[0], min(SECOND_POOL[1], columns)
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], 7, padding=3)
        self.norm1 = BatchNorm(WIDTHS[0], True, KERAS_EPS, KERAS_MOMENTUM)
        self.pool1 = nn.MaxPool2d(FIRST_POOL)
        self.drop1 = Dropout(DROPOUT)
        self.conv2 = nn.Conv2d(WIDTHS[0], WIDTHS[1], 7, padding=3)
        self.norm2 = BatchNorm(WIDTHS[1], True, KERAS_EPS, KERAS_MOMENTUM)
        self.pool2 = nn.MaxPool2d(pool)
        self.drop2 = Dropout(DROPOUT)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(WIDTHS[1] * (rows // pool[0]) * (columns // pool[1]), HIDDEN)
        self.relu = nn.ReLU()
        self.drop3 = Dropout(DROPOUT)
        self.out = nn.Linear(HIDDEN, num_classes)
        initialize_as_keras((self.conv1, self.conv2, self.dense, self.out), generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel (batch, in_channels, n_mels, frames) to logits (batch, num_classes)."""
        x = self.drop1(self.pool1(self.norm1(self.conv1(x))))  # (B, 32, n_mels/5, frames/5)
        x = self.drop2(self.pool2(self.norm2(self.conv2(x))))  # (B, 64, n_mels/20, 1)
        x = self.drop3(self.relu(self.dense(self.flatten(x))))  # (B, 100)
        logits: Tensor = self.out(x)
        return logits


def initialize_as_keras(layers: Sequence[nn.Conv2d | nn.Linear], generator: torch.Generator | None) -> None:
    """Draw weights as Keras does: Glorot uniform for convolutions, +-0.05 for dense layers. Biases are zero."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        else:
            nn.init.uniform_(layer.weight, -0.05, 0.05, generator=generator)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
