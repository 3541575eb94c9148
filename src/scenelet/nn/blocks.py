"""Residual blocks: plain ones, and ones whose convolutions are used several times."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scenelet.nn.norm import BatchNorm

Norm = Callable[..., nn.Module]
"""`norm(channels, relu=True)` -> the norm that follows a block's second convolution; called with `(x, residual)`."""


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    """A square convolution without bias that keeps the size unless strided."""
    pad = kernel // 2 if padding is None else padding
    return nn.Conv2d(in_channels, out_channels, kernel, stride, pad, bias=False)


def to_channels_last(network: nn.Module, memory_format: torch.memory_format = torch.channels_last) -> nn.Module:
    """Lay convolution weights out in memory, in place; what they compute then lies the same way."""
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=memory_format)
    return network


class ResidualBlock(nn.Module):
    """conv - BN - ReLU - conv - norm, plus the shortcut, ReLU (post-activation).

    The shortcut is a 1x1 convolution with BN where channels change, the input itself otherwise.

    Shape: (batch, in_channels, frequency, time) -> (batch, out_channels, frequency, time).
    """

    def __init__(self, in_channels: int, out_channels: int, kernels: tuple[int, int], norm: Norm) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, kernels[0])
        self.norm1 = BatchNorm(out_channels, relu=True)
        self.conv2 = conv(out_channels, out_channels, kernels[1])
        self.norm2 = norm(out_channels, relu=True)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(conv(in_channels, out_channels, 1), BatchNorm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, frequency, time) -> (batch, out_channels, frequency, time)."""
        y = self.norm1(self.conv1(x))
        out: Tensor = self.norm2(self.conv2(y), self.shortcut(x))
        return out


class SharedResidualBlock(nn.Module):
    """One pair of convolutions used `repeats` times; every pass has its own two batch norms (Figure 1).

    With `shared=False` each pass has its own convolutions too: what sharing is compared with.
    One repeat equals a `ResidualBlock` with plain norms.

    Shape: (batch, channels, frequency, time) -> the same.
    """

    def __init__(self, channels: int, kernels: tuple[int, int], repeats: int, shared: bool = True) -> None:
        super().__init__()
        pairs = 1 if shared else repeats
        self.conv1 = nn.ModuleList(conv(channels, channels, kernels[0]) for _ in range(pairs))
        self.conv2 = nn.ModuleList(conv(channels, channels, kernels[1]) for _ in range(pairs))
        self.norm1 = nn.ModuleList(BatchNorm(channels, relu=True) for _ in range(repeats))
        self.norm2 = nn.ModuleList(BatchNorm(channels, relu=True) for _ in range(repeats))
        self.repeats, self.shared = repeats, shared

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frequency, time) -> the same shape."""
        for i in range(self.repeats):
            pair = 0 if self.shared else i
            y = self.norm1[i](self.conv1[pair](x))
            x = self.norm2[i](self.conv2[pair](y), x)
        return x


class FrequencyMeanPool(nn.Module):
    """(batch, channels, frequency, time) -> (batch, channels, 1, time): the mean over frequency."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frequency, time) -> (batch, channels, 1, time)."""
        return x.mean(2, keepdim=True)


class GlobalMeanPool(nn.Module):
    """(batch, channels, frequency, time) -> (batch, channels): the mean over frequency and time."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frequency, time) -> (batch, channels)."""
        return x.mean((2, 3))
