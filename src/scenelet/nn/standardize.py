"""Standardization of raw log-mel to zero mean and unit standard deviation per mel band, before any network."""

import torch
from torch import Tensor, nn


class StandardizedNetwork(nn.Module):
    """Network with a preceding standardization per mel band, (x - mean) / std.

    Args:
        network: a network that takes standardized log-mel.
        mean, std: (n_mels,) mean and standard deviation of the training set, shared by the channels.

    Shape: raw log-mel (batch, channels, n_mels, frames) -> logits (batch, classes).

    >>> network = StandardizedNetwork(nn.Flatten(), mean=torch.tensor([1.0, 2.0]), std=torch.tensor([1.0, 10.0]))
    >>> network(torch.tensor([[[[3.0], [12.0]]]])).tolist()
    [[2.0, 1.0]]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("std", std.float().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map raw log-mel (batch, channels, n_mels, frames) to logits (batch, classes)."""
        x = (x - self.mean[:, None]) / self.std[:, None]
        logits: Tensor = self.network(x.to(memory_format=torch.channels_last))
        return logits
