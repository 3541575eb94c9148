"""Dropout with its own random generator, so a resumed epoch draws the same values as the interrupted one."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout of values, in training only. The kept values are scaled by 1 / (1 - p).

    PyTorch's dropout draws from one generator of the process. This layer has its own generator.

    Args:
        p: the probability that a value is set to 0.
        whole_channels: drop all values of a channel together.

    Shape: any -> the same.

    >>> layer = Dropout(0.5)
    >>> layer.reseed(0)
    >>> layer(torch.ones(4)).tolist(), layer.eval()(torch.ones(4)).tolist()
    ([0.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self, p: float, whole_channels: bool = False) -> None:
        super().__init__()
        self.p, self.whole_channels = p, whole_channels
        self._generator = torch.Generator()

    def reseed(self, seed: int) -> None:
        """Restart the random generator from `seed`."""
        self._generator.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape to the same shape."""
        if not self.training:
            return x
        shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape
        kept = torch.rand(shape, generator=self._generator) >= self.p
        return x * kept.to(x.device, x.dtype) / (1 - self.p)

    def extra_repr(self) -> str:
        """Return the text that `print(network)` shows."""
        return f"{self.p}"


def reseed(network: nn.Module, seed: int) -> None:
    """Restart the generator of every `Dropout` in a network. Each layer gets its own seed, derived from `seed`."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for index, layer in enumerate(layers):
        layer.reseed(seed * len(layers) + index)
