"""Shared-ResNet (Table 1 in Chang et al., QTI submission to DCASE 2020 Task 1B)."""

import functools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.nn.blocks import GlobalMeanPool, ResidualBlock, SharedResidualBlock, conv
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm, ResidualNorm, SubSpectralNorm
from scenelet.nn.registry import register_model

RESIDUAL_BLOCKS = 6


@register_model("shared_resnet")
class SharedResNet(nn.Module):
    """Shared-ResNet: residual blocks with SubSpectralNorm, the last of which share their convolutions.

    It has 603,668 parameters for 10 classes and 601,862 for 3 (stereo, width 64). The stem's padding equals its stride,
    so 256 bands become 128, 64, 32, 16 and always split into equal sub-bands. All other conventions are those of
    CP-ResNet (Koutini et al., EUSIPCO 2019).

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        width: channels of the first blocks. The last blocks have twice and four times as many.
        sub_bands, affine: settings of `SubSpectralNorm`.
        repeats: passes of each shared block.
        shared: if False, every pass has its own convolutions.
        stem_stride: the stem's stride in frequency and time, (2, 2) in the table. Its kernel is twice the stride plus
            1. With a longer stride the cheap stem reads finer features, while the other layers cost the same.
        residual_norm: apply `ResidualNorm` to the input.
        init: the initial weights, see `scenelet.nn.init.initialize`.
        generator: the source of the initial weights.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    >>> network = SharedResNet(num_classes=3, width=8)
    >>> network(torch.zeros(1, 2, 256, 32)).shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 2,
        width: int = 64,
        sub_bands: int = 2,
        affine: Literal["all", "sub"] = "all",
        repeats: int = 3,
        shared: bool = True,
        stem_stride: Sequence[int] | None = None,
        residual_norm: bool = False,
        init: Literal["kaiming", "zero_residual"] = "kaiming",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        c = width
        ssn = functools.partial(SubSpectralNorm, sub_bands=sub_bands, affine=affine)
        stride = (2, 2) if stem_stride is None else (stem_stride[0], stem_stride[1])
        kernel = 2 * stride[0] + 1, 2 * stride[1] + 1
        self.input_norm = ResidualNorm() if residual_norm else nn.Identity()
        stem = nn.Conv2d(in_channels, c, kernel, stride, padding=stride, bias=False)
        self.stem = nn.Sequential(stem, BatchNorm(c, relu=True))
        self.rb1 = ResidualBlock(c, c, (3, 1), ssn)
        self.pool1 = nn.MaxPool2d(2)
        self.rb2 = ResidualBlock(c, c, (3, 3), ssn)
        self.pool2 = nn.MaxPool2d(2)
        self.rb3 = ResidualBlock(c, c, (3, 3), ssn)
        self.rb4 = ResidualBlock(c, c, (3, 3), ssn)
        self.pool3 = nn.MaxPool2d(2)
        self.rb5 = ResidualBlock(c, 2 * c, (1, 1), ssn)
        self.srb1 = SharedResidualBlock(2 * c, (1, 1), repeats, shared)
        self.rb6 = ResidualBlock(2 * c, 4 * c, (1, 1), ssn)
        self.srb2 = SharedResidualBlock(4 * c, (1, 1), repeats, shared)
        self.head = nn.Sequential(conv(4 * c, num_classes, 1), BatchNorm(num_classes), GlobalMeanPool())
        self.residual_additions = RESIDUAL_BLOCKS + 2 * repeats
        for name, module in self.named_modules():
            if isinstance(module, SubSpectralNorm):
                module.layer = name
        initialize(self, init, self.residual_additions, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel (batch, in_channels, frequency, time) to logits (batch, num_classes)."""
        x = self.stem(self.input_norm(x))  # (B, c, F/2, T/2) at stride 2, which all following shapes assume
        x = self.pool1(self.rb1(x))  # (B, c, F/4, T/4)
        x = self.pool2(self.rb2(x))  # (B, c, F/8, T/8)
        x = self.pool3(self.rb4(self.rb3(x)))  # (B, c, F/16, T/16)
        x = self.srb1(self.rb5(x))  # (B, 2c, F/16, T/16)
        x = self.srb2(self.rb6(x))  # (B, 4c, F/16, T/16)
        logits: Tensor = self.head(x)  # (B, num_classes)
        return logits
