"""Initial weights of the residual networks."""

from typing import Literal

import torch
from torch import nn


def initialize(
    network: nn.Module,
    init: Literal["kaiming", "zero_residual"],
    residual_additions: int,
    generator: torch.Generator | None = None,
) -> None:
    """Draw the initial weights of every convolution, in place.

    Args:
        network: a network whose layers are named as in `scenelet.nn.blocks`.
        init: "kaiming" draws from a normal distribution with fan-in (He et al., 2015). "zero_residual" is CP-ResNet's
            scheme. In each block the first convolution is N(0, sqrt(2 / (k k out)) L^-0.5), the second is 0, and the
            shortcut is N(0, sqrt(2 / out)). The last 1x1 convolution of the network is 0.
        residual_additions: L, the count of residual additions from input to output; each shared pass counts.
        generator: the source of the weights.
    """
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if init == "kaiming":
            continue
        fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
        if ".conv2" in name or name == "head.0":
            nn.init.zeros_(module.weight)
        elif ".conv1" in name:
            scale = (2 / fan_out) ** 0.5 * residual_additions**-0.5
            nn.init.normal_(module.weight, 0.0, scale, generator=generator)
        elif ".shortcut" in name:
            nn.init.normal_(module.weight, 0.0, (2 / module.out_channels) ** 0.5, generator=generator)
