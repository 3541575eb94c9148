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
    """Draw every convolution's weights anew.

    "kaiming": He et al. 2015, normal, fan-in. "zero_residual": CP-ResNet's; then in a block the first
    convolution is N(0, sqrt(2 / (k k out)) L^-0.5) with L = `residual_additions` on the way through (shared
    passes counted), the second 0, the shortcut N(0, sqrt(2 / out)), and the last 1x1 convolution 0.
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
