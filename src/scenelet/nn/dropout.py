"""Dropout with its own random generator, so a resumed epoch draws the same values as the interrupted one."""

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError


class Dropout(nn.Module):
    """Dropout of values, in training only. The kept values are scaled by 1 / (1 - p).

    PyTorch's dropout draws from one generator of the process. This layer has its own generator, on the device of its
    input. So a seed gives the same draws on all CPUs, and others on a GPU.

    Args:
        p: the probability that a value is set to 0, below 1.
        whole_channels: drop all values of a channel together.

    Shape: any -> the same.

    Raises:
        UsageError: `p` is out of range.

    >>> layer = Dropout(0.5)
    >>> layer.reseed(0)
    >>> layer(torch.ones(4)).tolist(), layer.eval()(torch.ones(4)).tolist()
    ([0.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    """

    _generator: torch.Generator | None

    def __init__(self, p: float, whole_channels: bool = False) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise UsageError(f"dropout's p is {p:g}; it must be at least 0 and below 1")
        self.p, self.whole_channels = p, whole_channels
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Restart the random generator from `seed`."""
        self._seed, self._generator = seed, None

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape to the same shape."""
        if not self.training:
            return x
        shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape
        if self._generator is None or self._generator.device != x.device:
            self._generator = torch.Generator(x.device).manual_seed(self._seed)
        kept = torch.rand(shape, generator=self._generator, device=x.device) >= self.p
        return x * kept.to(x.dtype) / (1 - self.p)

    def extra_repr(self) -> str:
        """Return the text that `print(network)` shows."""
        return f"{self.p}"


def reseed(network: nn.Module, seed: int) -> None:
    """Restart the generator of every `Dropout` in a network. Each layer gets its own seed, derived from `seed`."""
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    for index, layer in enumerate(layers):
        layer.reseed(seed * len(layers) + index)
