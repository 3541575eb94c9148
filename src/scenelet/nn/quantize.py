"""Quantization of convolution and dense weights to integers times a power of two per output channel."""

from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.nn.norm import BatchNorm, SubSpectralNorm

WeightFormat = Literal["fp16", "fp32", "int8", "int4"]
LEVELS: dict[WeightFormat, int] = {"int8": 127, "int4": 7}
"""Mapping from an integer format to its largest value. The formats are symmetric, so the smallest is the negative."""
MIN_SCALE = 2.0**-100  # replaces the largest weight of a channel of zeros, which needs a step too


@torch.no_grad()
def quantize(weight: Tensor, levels: int) -> Tensor:
    """Round weights (out, ...) to the nearest q * step[out] with integers q from -levels to levels.

    Each step is a power of two. The product is then exact in every floating-point format, and a chip without floating
    point can shift. The step is the smallest that can represent the channel's largest weight, or half of it, which
    clips the largest weights. The one with the smaller sum of squared errors is used.

    >>> quantize(torch.tensor([[0.26, -1.0, 0.5]]), 7).tolist()
    [[0.25, -1.0, 0.5]]
    """
    rows = weight.flatten(1)
    largest = rows.abs().amax(1, keepdim=True).clamp_min(MIN_SCALE)
    step = torch.exp2(torch.ceil(torch.log2(largest / levels)))
    exact, clipped = (_round_to_step(rows, size, levels) for size in (step, step / 2))
    errors = [(rounded - rows).square().sum(1, keepdim=True) for rounded in (exact, clipped)]
    return torch.where(errors[1] < errors[0], clipped, exact).view_as(weight)


@torch.no_grad()
def round_network(network: nn.Module, dtype: WeightFormat) -> None:
    """Round a network to an integer format, in place. Floating-point formats change nothing.

    Weights of convolutions and dense layers are quantized. Biases and norms are rounded as a file stores them, so the
    network computes with exactly the stored numbers.
    """
    if dtype not in LEVELS:
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(quantize(module.weight, LEVELS[dtype]))
            if module.bias is not None:
                module.bias.copy_(module.bias.half())
        elif isinstance(module, BatchNorm | SubSpectralNorm):
            _round_norm(module)


def _round_norm(norm: BatchNorm | SubSpectralNorm) -> None:
    """Change the statistics so that scale and shift are exact in fp16, in which a file stores them.

    scale = weight / sqrt(var + eps), shift = bias - mean * scale, per channel and sub-band.
    """
    weight, bias = norm.weight.double(), norm.bias.double()
    scale = weight / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = bias - norm.running_mean.double() * scale
    stored_scale, stored_shift = scale.half().double(), shift.half().double()
    fits = (stored_scale != 0) & torch.isfinite(stored_scale) & torch.isfinite(stored_shift)
    divisor = torch.where(fits, stored_scale, 1.0)
    norm.running_var.copy_(torch.where(fits, (weight / divisor).square() - norm.eps, norm.running_var.double()))
    norm.running_mean.copy_(torch.where(fits, (bias - stored_shift) / divisor, norm.running_mean.double()))


def _round_to_step(rows: Tensor, step: Tensor, levels: int) -> Tensor:
    return torch.clamp(torch.round(rows / step), -levels, levels) * step
