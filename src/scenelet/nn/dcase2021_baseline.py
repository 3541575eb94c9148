"""Official baseline of DCASE 2021 Task 1A and of DCASE 2022 Task 1, which have the same network.

Source: its published settings, https://github.com/marmoi/dcase2021_task1a_baseline and
https://github.com/marmoi/dcase2022_task1_baseline.
"""

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn.dcase2020_baseline import (
    DROPOUT,
    FIRST_POOL,
    HIDDEN,
    KERAS_EPS,
    KERAS_MOMENTUM,
    SECOND_POOL,
    initialize_as_keras,
)
from scenelet.nn.dropout import Dropout
from scenelet.nn.norm import BatchNorm
from scenelet.nn.registry import register_model

WIDTHS = (16, 16, 32)


@register_model("dcase2021_baseline")
class Dcase2021Baseline(nn.Module):
    """Baseline network of 2021 and 2022: three 7x7 convolutions and two dense layers.

    It has 46,118 parameters for 10 classes. Keras counts 46,246, with the 128 statistics of batch norm. The original
    input is 40 log-mel bands, and 500 frames of a 10 s clip in 2021 or 51 frames of a 1 s clip in 2022. The second pool
    covers 100 columns in 2021 and 10 in 2022. Here it covers 100, or all columns of a shorter clip.

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        n_mels: mel bands of the input, at least 20.
        frames: frames of the input, at least 5.
        generator: the source of the initial weights.

    Shape: (batch, in_channels, n_mels, frames) -> logits (batch, num_classes).

    Raises:
        UsageError: `n_mels` or `frames` is too small, so the pools would leave nothing.

    >>> network = Dcase2021Baseline(num_classes=10, frames=51)
    >>> sum(p.numel() for p in network.parameters())
    46118
    >>> network(torch.zeros(2, 1, 40, 51)).shape
    torch.Size([2, 10])
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
            raise UsageError(f"dcase2021_baseline needs at least 20 mel bands and 5 frames; got {n_mels} and {frames}")
        pool = SECOND_POOL[0], min(SECOND_POOL[1], columns)
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], 7, padding=3)
        self.norm1 = BatchNorm(WIDTHS[0], True, KERAS_EPS, KERAS_MOMENTUM)
        self.conv2 = nn.Conv2d(WIDTHS[0], WIDTHS[1], 7, padding=3)
        self.norm2 = BatchNorm(WIDTHS[1], True, KERAS_EPS, KERAS_MOMENTUM)
        self.pool2 = nn.MaxPool2d(FIRST_POOL)
        self.drop2 = Dropout(DROPOUT)
        self.conv3 = nn.Conv2d(WIDTHS[1], WIDTHS[2], 7, padding=3)
        self.norm3 = BatchNorm(WIDTHS[2], True, KERAS_EPS, KERAS_MOMENTUM)
        self.pool3 = nn.MaxPool2d(pool)
        self.drop3 = Dropout(DROPOUT)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(WIDTHS[2] * (rows // pool[0]) * (columns // pool[1]), HIDDEN)
        self.relu = nn.ReLU()
        self.drop4 = Dropout(DROPOUT)
        self.out = nn.Linear(HIDDEN, num_classes)
        initialize_as_keras((self.conv1, self.conv2, self.conv3, self.dense, self.out), generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel (batch, in_channels, n_mels, frames) to logits (batch, num_classes)."""
        x = self.norm1(self.conv1(x))  # (B, 16, n_mels, frames)
        x = self.drop2(self.pool2(self.norm2(self.conv2(x))))  # (B, 16, n_mels/5, frames/5)
        x = self.drop3(self.pool3(self.norm3(self.conv3(x))))  # (B, 32, n_mels/20, 1)
        x = self.drop4(self.relu(self.dense(self.flatten(x))))  # (B, 100)
        logits: Tensor = self.out(x)
        return logits
