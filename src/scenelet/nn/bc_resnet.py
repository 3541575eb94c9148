"""BC-ResNet (Kim, Chang, Lee and Sung, Broadcasted Residual Learning for Efficient Keyword Spotting, Interspeech 2021).

Source: arXiv 2106.04140. Most of a block works on the mean over frequency, which is one row of time. The result is then
added to every frequency. The paper uses the network for keyword spotting; scenelet uses it for scenes.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn import fused
from scenelet.nn.blocks import FrequencyMeanPool, GlobalMeanPool
from scenelet.nn.broadcast import broadcasted
from scenelet.nn.depthwise import DepthwiseConv2d
from scenelet.nn.dropout import Dropout
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm, ResidualNorm, SubSpectralNorm
from scenelet.nn.registry import register_model

DROPOUT = 0.1


class BroadcastedBlock(nn.Module):
    """Broadcasted residual block: relu(f2(x) + f1(mean over frequency of f2(x)) + x).

    If the block changes the count of channels or frequencies, x is not added.

    - f2 is a depthwise convolution over 3 frequencies and SubSpectralNorm. If channels or frequencies change, a 1x1
      convolution, BN and ReLU precede it.
    - f1 is a depthwise convolution over 3 frames with `dilation`, BN, swish (SiLU), a 1x1 convolution, and dropout of
      whole channels.

    Shape: (batch, in_channels, frequency, time) -> (batch, channels, frequency / stride, time).
    """

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int, sub_bands: int) -> None:
        super().__init__()
        self.change: nn.Module = nn.Identity()
        self.same = in_channels == channels and stride == 1
        if not self.same:
            self.change = nn.Sequential(nn.Conv2d(in_channels, channels, 1, bias=False), BatchNorm(channels, relu=True))
        self.over_frequency = nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), groups=channels, bias=False)
        self.norm = SubSpectralNorm(channels, sub_bands, affine="sub")
        self.pool = FrequencyMeanPool()
        self.over_time = DepthwiseConv2d(channels, (1, 3), (0, dilation), (1, dilation))
        self.norm_time = BatchNorm(channels)
        self.swish = nn.SiLU()
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.dropout = Dropout(DROPOUT, whole_channels=True)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, frequency, time) to (batch, channels, frequency / stride, time)."""
        x = self.change(x)
        # a tracer passes no tensors
        if isinstance(x, Tensor) and fused.supports(x, None, self.over_frequency.weight):
            return broadcasted(x, self.over_frequency, self.norm, self._over_time, self.same)
        y = self.norm(self.over_frequency(x))  # (B, C, F, T)
        y = y + self._over_time(self.pool(y))
        out: Tensor = self.relu(y + x if self.same else y)
        return out

    def _over_time(self, row: Tensor) -> Tensor:
        """Map (batch, channels, 1, time) to the same shape, f1 after the mean."""
        out: Tensor = self.dropout(self.mix(self.swish(self.norm_time(self.over_time(row)))))
        return out


@register_model("bc_resnet")
class BCResNet(nn.Module):
    """BC-ResNet of the paper's Table 1.

    BC-ResNet-1 (mono, 40 log-mel bands, width 8, 5 sub-bands) has 9,232 parameters for 12 classes. SubSpectralNorm has
    a scale and shift per sub-band, which gives the paper's count. Initial weights are Kaiming's.

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        width: 8 tau in the paper's terms: 8 in BC-ResNet-1, 64 in BC-ResNet-8.
        sub_bands: sub-bands of each SubSpectralNorm. The network halves the input's bands three times, and `sub_bands`
            must divide the result: 5 for 40 bands, 2, 4 or 8 for 64.
        blocks: blocks of each of the first two stages, 2 in the table. The last two stages have twice as many.
        stem_stride: the stem's stride in frequency and time, (2, 1) in the table. Its kernel is 5, or twice the stride
            plus 1 if that is more. A stride of 2 in time halves the cost of all other layers.
        residual_norm: apply `ResidualNorm` to the input and after each of the four stages.
        init: only "kaiming" is supported.
        generator: the source of the initial weights.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    Raises:
        UsageError: `init` is not "kaiming"; or, in `forward`, the frequencies do not split, see `SubSpectralNorm`.

    >>> network = BCResNet(num_classes=12)
    >>> sum(p.numel() for p in network.parameters())
    9232
    >>> network(torch.zeros(2, 1, 40, 10)).shape
    torch.Size([2, 12])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 1,
        width: int = 8,
        sub_bands: int = 5,
        blocks: int = 2,
        stem_stride: Sequence[int] | None = None,
        residual_norm: bool = False,
        init: Literal["kaiming", "zero_residual"] = "kaiming",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if init != "kaiming":
            raise UsageError(f"network.init is {init!r}; bc_resnet supports 'kaiming' only")
        stem, *stages, last = (int(width * factor) for factor in (2, 1, 1.5, 2, 2.5, 4))
        stride = (2, 1) if stem_stride is None else (stem_stride[0], stem_stride[1])
        padding = max(2, stride[0]), max(2, stride[1])
        kernel = 2 * padding[0] + 1, 2 * padding[1] + 1
        self.input_norm = ResidualNorm() if residual_norm else nn.Identity()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, kernel, stride, padding, bias=False), BatchNorm(stem, relu=True)
        )
        layers: list[nn.Module] = []
        channels = stem
        for stage, (out_channels, stage_stride) in enumerate(zip(stages, (1, 2, 2, 1), strict=True)):
            for index in range(blocks if stage < 2 else 2 * blocks):
                block_stride = stage_stride if index == 0 else 1
                layers.append(BroadcastedBlock(channels, out_channels, block_stride, 2**stage, sub_bands))
                channels = out_channels
            if residual_norm:
                layers.append(ResidualNorm())
        self.blocks = nn.ModuleList(layers)
        dense = nn.Linear(last, num_classes)
        self.head = nn.Sequential(
            DepthwiseConv2d(channels, (5, 5), (0, 2)),
            nn.Conv2d(channels, last, 1, bias=False),
            BatchNorm(last, relu=True),
            GlobalMeanPool(),
            dense,
        )
        for name, module in self.named_modules():
            if isinstance(module, SubSpectralNorm):
                module.layer = name
        initialize(self, init, len(layers), generator)
        nn.init.kaiming_uniform_(dense.weight, a=5**0.5, generator=generator)  # PyTorch's default
        nn.init.zeros_(dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel (batch, in_channels, frequency, time) to logits (batch, num_classes)."""
        x = self.stem(self.input_norm(x))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits
