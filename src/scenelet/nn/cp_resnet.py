"""CP-ResNet (Koutini et al., The Receptive Field as a Regularizer, EUSIPCO 2019)."""

from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError
from scenelet.nn.blocks import GlobalMeanPool, ResidualBlock, conv
from scenelet.nn.init import initialize
from scenelet.nn.norm import BatchNorm
from scenelet.nn.registry import register_model

BLOCKS = 12
MIN_RHO, MAX_RHO = 4, 7


@register_model("cp_resnet")
class CPResNet(nn.Module):
    """CP-ResNet: three stages of four residual blocks.

    It has 898,580 parameters for 10 classes and 896,774 for 3 (stereo, width 64, rho 5). The stem's padding is 1, so
    256 bands become 127, 63, 31, 15.

    Args:
        num_classes: the count of classes.
        in_channels: 1 for mono, 2 for stereo.
        width: channels of the first stage. The others have twice and four times as many.
        rho: a bound of the receptive field, 4 to 7. The first block has the kernels 3x3 and 1x1. Of the convolutions
            that follow, the first `rho` are 3x3 and the others 1x1.
        init: the initial weights, see `scenelet.nn.init.initialize`.
        generator: the source of the initial weights.

    Shape: (batch, in_channels, frequency, time) -> logits (batch, num_classes).

    Raises:
        UsageError: `rho` is not 4 to 7.

    >>> CPResNet(num_classes=3, width=4)(torch.zeros(1, 2, 64, 32)).shape
    torch.Size([1, 3])
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
        if not MIN_RHO <= rho <= MAX_RHO:
            raise UsageError(f"network.rho is {rho}; it must be {MIN_RHO} to {MAX_RHO}")
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
        """Map log-mel (batch, in_channels, frequency, time) to logits (batch, num_classes)."""
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in (0, 1, 3):
                x = self.pool(x)
        logits: Tensor = self.head(x)
        return logits
