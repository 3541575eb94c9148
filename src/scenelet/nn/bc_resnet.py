"""BC-ResNet: Kim, Chang, Lee and Sung, Broadcasted Residual Learning for Efficient Keyword Spotting, Interspeech 2021.

arXiv 2106.04140. Most of a block works on one row of time, of which the mean over frequency is made, and its result is
added to every frequency. Meant for keyword spotting; here for scenes.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn.blocks import FrequencyMeanPool, GlobalMeanPool
from scenelet.nn.dropout import Dropout
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.nn.registry import register_model

DROPOUT = 0.1


class BroadcastedBlock(nn.Module):
    """y = f2(x) + f1(mean over frequency of f2(x)) + x, then ReLU; without the last addition where its shape changes.

    f2: a convolution over 3 frequencies, channel by channel, and SubSpectralNorm; where channels or frequencies change,
    a 1x1 convolution, BN and ReLU come first. f1: a convolution over 3 frames, `dilation` apart, channel by channel;
    BN; swish (SiLU); a 1x1 convolution; dropout of whole channels.

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
        self.over_time = nn.Conv2d(
            channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=channels, bias=False
        )
        self.norm_time = BatchNorm(channels)
        self.swish = nn.SiLU()
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.dropout = Dropout(DROPOUT, whole_channels=True)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, frequency, time) -> (batch, channels, frequency / stride, time)."""
        y = self.norm(self.over_frequency(self.change(x)))  # (B, C, F, T)
        row = self.swish(self.norm_time(self.over_time(self.pool(y))))  # (B, C, 1, T)
        y = y + self.dropout(self.mix(row))
        out: Tensor = self.relu(y + x if self.same else y)
        return out


@register_model("bc_resnet")
class BCResNet(nn.Module):
    """The paper's Table 1. 9,232 parameters for 12 classes at width 8 (BC-ResNet-1: mono, 40 log-mel bands, S = 5).

    `width` is 8 tau: 8 in BC-ResNet-1, 64 in BC-ResNet-8. `blocks` are those of the first two
    stages, 2 in the table; the last two have twice as many. The input's bands are halved three times, and `sub_bands`
    must split what is left: 5 with 40 bands, 2, 4 or 8 with 64. SubSpectralNorm has a scale and shift for each
    sub-band, which gives the paper's count. Initial weights: Kaiming, drawn from `generator`.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    Raises:
        UsageError: another `init`; in `forward`, when the frequencies do not split, see `SubSpectralNorm`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 1,
        width: int = 8,
        sub_bands: int = 5,
        blocks: int = 2,
        init: Literal["kaiming", "zero_residual"] = "kaiming",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if init != "kaiming":
            raise UsageError(f"network.init is {init!r}; bc_resnet has 'kaiming' only")
        stem, *stages, last = (int(width * factor) for factor in (2, 1, 1.5, 2, 2.5, 4))
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 5, (2, 1), padding=2, bias=False), BatchNorm(stem, relu=True)
        )
        layers: list[nn.Module] = []
        channels = stem
        for stage, (wide, stride) in enumerate(zip(stages, (1, 2, 2, 1), strict=True)):
            for place in range(blocks if stage < 2 else 2 * blocks):
                step = stride if place == 0 else 1
                layers.append(BroadcastedBlock(channels, wide, step, dilation=2**stage, sub_bands=sub_bands))
                channels = wide
        self.blocks = nn.ModuleList(layers)
        dense = nn.Linear(last, num_classes)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=(0, 2), groups=channels, bias=False),
            nn.Conv2d(channels, last, 1, bias=False),
            BatchNorm(last, relu=True),
            GlobalMeanPool(),
            dense,
        )
        for name, module in self.named_modules():
            if isinstance(module, SubSpectralNorm):
                module.layer = name
        initialize(self, init, len(layers), generator)
        nn.init.kaiming_uniform_(dense.weight, a=5**0.5, generator=generator)  # PyTorch's own, from our generator
        nn.init.zeros_(dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel (batch, in_channels, frequency, time) -> logits (batch, num_classes)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits
