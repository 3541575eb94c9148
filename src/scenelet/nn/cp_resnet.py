"""CP-ResNet: the network of Koutini et al., The Receptive Field as a Regularizer, EUSIPCO 2019."""

from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn.blocks import GlobalMeanPool, ResidualBlock, conv
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm
from scenelet.nn.registry import register_model

BLOCKS = 12
RHO = (4, 7)


@register_model("cp_resnet")
class CPResNet(nn.Module):
    """Three stages of four residual blocks. 898,580 parameters for 10 classes, 896,774 for 3 (stereo, width 64, rho 5).

    `rho` bounds the receptive field: after the first block (3x3, 1x1), that many of the following
    convolutions are 3x3 and the rest 1x1, the third after the stem on. The stem's padding is 1, so 256 bands
    become 127, 63, 31, 15.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    Raises:
        UsageError: rho is not 4 to 7.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 2,
        width: int = 64,
        rho: int = 5,
        init: Literal["kaiming", "zero_residual"] = "kaiming",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not RHO[0] <= rho <= RHO[1]:
            raise UsageError(f"network.rho is {rho}; it is {RHO[0]} to {RHO[1]}")
        kernels = [3, 1] + [3] * rho + [1] * (2 * BLOCKS - 2 - rho)
        pairs = list(zip(kernels[::2], kernels[1::2], strict=True))
        c = width
        self.stem = nn.Sequential(conv(in_channels, c, 5, stride=2, padding=1), BatchNorm(c, relu=True))
        sizes = [c, *[c] * 4, *[2 * c] * 4, *[4 * c] * 4]
        self.blocks = nn.ModuleList(ResidualBlock(sizes[i], sizes[i + 1], pairs[i], BatchNorm) for i in range(BLOCKS))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(conv(4 * c, num_classes, 1), BatchNorm(num_classes), GlobalMeanPool())
        initialize(self, init, BLOCKS, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel (batch, in_channels, frequency, time) -> logits (batch, num_classes)."""
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in (0, 1, 3):
                x = self.pool(x)
        logits: Tensor = self.head(x)
        return logits
