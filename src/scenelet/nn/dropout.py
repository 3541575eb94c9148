"""Dropout whose draws are told where to begin, so that a resumed epoch draws what the cut one drew."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Set each value to 0 with a chance of `share` and scale the others by 1 / (1 - share), in training only.

    PyTorch's own draws from a generator that everything in the process shares; this one has its own. With
    `whole_channels` the values of a channel are dropped together.

    Shape: any -> the same.
    """

    def __init__(self, share: float, whole_channels: bool = False) -> None:
        super().__init__()
        self.share, self.whole_channels = share, whole_channels
        self._generator = torch.Generator()

    def reseed(self, seed: int) -> None:
        """Begin the draws anew from `seed`."""
        self._generator.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        if not self.training:
            return x
        shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape
        kept = torch.rand(shape, generator=self._generator) >= self.share
        return x * kept.to(x.device, x.dtype) / (1 - self.share)

    def extra_repr(self) -> str:
        """Shown by `print(network)`."""
        return f"{self.share}"


def reseed(network: nn.Module, seed: int) -> None:
    """Begin the draws of every `Dropout` in a network anew, each from a seed of its own made of `seed`."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for index, layer in enumerate(layers):
        layer.reseed(seed * len(layers) + index)
