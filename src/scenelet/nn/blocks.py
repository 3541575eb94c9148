"""Residual blocks with their own convolutions or with convolutions that several passes share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scenelet.nn.convolution import Conv2d
from scenelet.nn.norm import BatchNorm

Norm = Callable[..., nn.Module]
"""Factory `norm(channels, relu=True)` of a norm layer that is called with `(x, residual)`."""


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int | None = None) -> Conv2d:
    """Build a square convolution without bias. By default its padding keeps the size, apart from the stride."""
    pad = kernel // 2 if padding is None else padding
    return Conv2d(in_channels, out_channels, kernel, stride, pad, bias=False)


def to_channels_last(network: nn.Module, memory_format: torch.memory_format = torch.channels_last) -> nn.Module:
    """Set the memory format of all convolution weights, in place. Their outputs then have the same format."""
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=memory_format)
            if weight.shape[1] == 1 and memory_format == torch.channels_last:
                # memory is the same in both formats, and PyTorch takes the other one unless the strides differ
                rows, columns = weight.shape[2:]
                weight.data = weight.data.as_strided(weight.shape, (rows * columns, 1, columns, 1))
    return network


class ResidualBlock(nn.Module):
    """Post-activation residual block: relu(norm(conv(relu(BN(conv(x))))) + shortcut(x)).

    If the count of channels changes, the shortcut is a 1x1 convolution with BN. Otherwise it is the input.

    Args:
        in_channels, out_channels: channels before and after the block.
        kernels: sizes of the two square kernels.
        norm: the factory of the second norm, for example `BatchNorm` or a partial of `SubSpectralNorm`.

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
        """Map (batch, in_channels, frequency, time) to (batch, out_channels, frequency, time)."""
        y = self.norm1(self.conv1(x))
        out: Tensor = self.norm2(self.conv2(y), self.shortcut(x))
        return out


class SharedResidualBlock(nn.Module):
    """Residual block that applies the same pair of convolutions `repeats` times (the paper's Figure 1).

    Every pass has its own two batch norms. One repeat equals a `ResidualBlock` with batch norms.

    Args:
        channels: channels before and after the block.
        kernels: sizes of the two square kernels.
        repeats: how many passes.
        shared: if False, each pass has its own convolutions too, as a baseline for comparison.

    Shape: (batch, channels, frequency, time) -> the same.

    >>> block = SharedResidualBlock(channels=4, kernels=(3, 1), repeats=3)
    >>> len(block.conv1), len(block.norm1), block(torch.zeros(2, 4, 8, 5)).shape
    (1, 3, torch.Size([2, 4, 8, 5]))
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
        """Map (batch, channels, frequency, time) to the same shape."""
        for i in range(self.repeats):
            pair = 0 if self.shared else i
            y = self.norm1[i](self.conv1[pair](x))
            x = self.norm2[i](self.conv2[pair](y), x)
        return x


class FrequencyMeanPool(nn.Module):
    """Mean of (batch, channels, frequency, time) over frequency, with the shape (batch, channels, 1, time)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frequency, time) to (batch, channels, 1, time)."""
        return x.mean(2, keepdim=True)


class GlobalMeanPool(nn.Module):
    """Mean of (batch, channels, frequency, time) over frequency and time, with the shape (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frequency, time) to (batch, channels)."""
        return x.mean((2, 3))
