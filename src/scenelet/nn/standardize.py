"""The first step of every network: raw log-mel -> zero mean and unit deviation per mel band."""

import torch
from torch import Tensor, nn


class StandardizedNetwork(nn.Module):
    """A network behind per-band standardization, (x - mean) / deviation.

    Args:
        network: takes standardized log-mel.
        mean, deviation: (n_mels,) of the training set, shared by the channels.

    Shape: raw log-mel (batch, channels, n_mels, frames) -> logits (batch, classes).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("deviation", deviation.float().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Raw log-mel (batch, channels, n_mels, frames) -> logits (batch, classes)."""
        x = (x - self.mean[:, None]) / self.deviation[:, None]
        logits: Tensor = self.network(x.to(memory_format=torch.channels_last))
        return logits
