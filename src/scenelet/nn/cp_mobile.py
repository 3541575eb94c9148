"""CP-Mobile as the baseline of DCASE 2024 and 2025 Task 1 has it (Schmid et al., 2023)."""

import torch
from torch import Tensor, nn

from scenelet.nn.blocks import GlobalMeanPool, conv
from scenelet.nn.depthwise import DepthwiseConv2d
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm, ResidualNorm
from scenelet.nn.registry import register_model

CHANNEL_STEP = 8
STRIDES = [[(1, 1), (1, 1), (1, 2)], [(2, 1), (1, 1)], [(1, 1)]]
"""Strides in frequency and time of the blocks of each stage."""


class BottleneckBlock(nn.Module):
    """Inverted bottleneck: relu(BN(1x1(relu(BN(depthwise(relu(BN(1x1(x)))))))) + shortcut(x)).

    The shortcut exists if the count of channels stays the same. With a stride it is a mean over 3x3 values, zero
    padding included.

    Args:
        in_channels, channels: channels before and after the block.
        expansion: channels of the depthwise 3x3 convolution per input channel, see `round_channels`.
        stride: of the depthwise convolution, in frequency and time.

    Shape: (batch, in_channels, frequency, time) -> (batch, channels, frequency / stride, time / stride), rounded up.

    >>> BottleneckBlock(8, 8, 2.0, (1, 2))(torch.zeros(2, 8, 4, 5)).shape
    torch.Size([2, 8, 4, 3])
    """

    def __init__(self, in_channels: int, channels: int, expansion: float, stride: tuple[int, int]) -> None:
        super().__init__()
        inner = round_channels(in_channels * expansion)
        self.expand = nn.Sequential(conv(in_channels, inner, 1), BatchNorm(inner, relu=True))
        if stride == (1, 1):
            self.depthwise: nn.Conv2d = DepthwiseConv2d(inner, (3, 3), (1, 1))
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.depthwise = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
            self.shortcut = nn.AvgPool2d(3, stride, 1)
        self.norm = BatchNorm(inner, relu=True)
        self.project = conv(inner, channels, 1)
        self.norm_out = BatchNorm(channels, relu=True)
        self.same = in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, frequency, time) to (batch, channels, frequency / stride, time / stride)."""
        y = self.project(self.norm(self.depthwise(self.expand(x))))
        out: Tensor = self.norm_out(y, self.shortcut(x)) if self.same else self.norm_out(y)
        return out


@register_model("cp_mobile")
class CPMobile(nn.Module):
    """CP-Mobile without Global Response Normalization: three stages of 3, 2 and 1 inverted bottlenecks.

    The network of 2023 has Global Response Normalization in its blocks. The baseline of 2024 and 2025 does not have it,
    and neither does this network. With the defaults it is that baseline: 61,148 parameters for 10 classes (mono). Two
    3x3 convolutions of stride 2 precede the stages.

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        width: channels of the first stage. All counts of channels are rounded, see `round_channels`.
        multiplier: growth of the count of channels per stage.
        expansion: channels inside a block per channel of its input.
        residual_norm: apply `ResidualNorm` to the input.
        generator: the source of the initial weights, which are Kaiming's with fan-in.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    >>> network = CPMobile(num_classes=10)
    >>> sum(p.numel() for p in network.parameters())
    61148
    >>> network(torch.zeros(2, 1, 256, 65)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 1,
        width: int = 32,
        multiplier: float = 1.8,
        expansion: float = 2.1,
        residual_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        channels = round_channels(width)
        sizes = [round_channels(channels * multiplier**stage) for stage in range(len(STRIDES))]
        self.input_norm = ResidualNorm() if residual_norm else nn.Identity()
        self.stem = nn.Sequential(
            conv(in_channels, channels // 4, 3, stride=2),
            BatchNorm(channels // 4, relu=True),
            conv(channels // 4, channels, 3, stride=2),
            BatchNorm(channels, relu=True),
        )
        blocks = []
        for size, strides in zip(sizes, STRIDES, strict=True):
            for stride in strides:
                blocks.append(BottleneckBlock(channels, size, expansion, stride))
                channels = size
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(conv(channels, num_classes, 1), BatchNorm(num_classes), GlobalMeanPool())
        initialize(self, "kaiming", len(blocks), generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel (batch, in_channels, frequency, time) to logits (batch, num_classes)."""
        x = self.stem(self.input_norm(x))  # (B, width, F/4, T/4)
        logits: Tensor = self.head(self.blocks(x))
        return logits


def round_channels(count: float) -> int:
    """Round a count of channels to the nearest multiple of 8, but up if that would lose more than a tenth.

    >>> [round_channels(count) for count in (1, 8.8, 9, 57.6)]
    [8, 8, 16, 56]
    """
    nearest = max(CHANNEL_STEP, int(count + CHANNEL_STEP / 2) // CHANNEL_STEP * CHANNEL_STEP)
    return nearest if nearest >= 0.9 * count else nearest + CHANNEL_STEP
