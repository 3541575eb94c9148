"""Convolution and dense weights as whole numbers times a power of two for each output channel."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from scenelet.nn.norm import BatchNorm, SubSpectralNorm

WeightFormat = Literal["fp16", "fp32", "int8", "int4"]
LEVELS: dict[WeightFormat, int] = {"int8": 127, "int4": 7}
"""Format of whole numbers -> the largest of them; the least is minus that (symmetric)."""
MIN_SCALE = 2.0**-100  # of a channel's largest weight, so that a channel of zeros has a step too


@torch.no_grad()
def quantize(weight: Tensor, levels: int) -> Tensor:
    """Weight (out, ...) -> the nearest q * step[out] with whole q from -levels to levels.

    The step is a power of two, so the product is exact in every floating-point format, and a chip without one
    shifts. It is the smallest that holds the channel's largest weight, or half of that where clipping the largest
    costs less than it gains: the one with the smaller sum of squared errors.
    """
    rows = weight.flatten(1)
    largest = rows.abs().amax(1, keepdim=True).clamp_min(MIN_SCALE)
    step = torch.exp2(torch.ceil(torch.log2(largest / levels)))
    holding, clipping = (_on_grid(rows, one, levels) for one in (step, step / 2))
    errors = [(one - rows).square().sum(1, keepdim=True) for one in (holding, clipping)]
    return torch.where(errors[1] < errors[0], clipping, holding).view_as(weight)


def quantizer(dtype: WeightFormat) -> Callable[[Tensor], Tensor] | None:
    """`quantize` for a format of whole numbers; None for the others, which are rounded when they are stored."""
    levels = LEVELS.get(dtype)
    return None if levels is None else lambda weight: quantize(weight, levels)


@torch.no_grad()
def round_network(network: nn.Module, dtype: WeightFormat) -> None:
    """Put the weights of convolutions and dense layers on their grid, in place; floating-point formats have none.

    Biases and norms too become what a file holds, so that the network computes with just the numbers that are stored.
    """
    if (round_to_grid := quantizer(dtype)) is None:
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(round_to_grid(module.weight))
            if module.bias is not None:
                module.bias.copy_(module.bias.half())
        elif isinstance(module, BatchNorm | SubSpectralNorm):
            _round_norm(module)


def _round_norm(norm: BatchNorm | SubSpectralNorm) -> None:
    """Move the statistics so that scale and shift, which a file holds in fp16, are exactly that.

    scale = weight / sqrt(var + eps), shift = bias - mean * scale; each (channel, sub-band) has its own statistics.
    """
    weight, bias = norm.weight.double(), norm.bias.double()
    scale = weight / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = bias - norm.running_mean.double() * scale
    stored_scale, stored_shift = scale.half().double(), shift.half().double()
    fits = (stored_scale != 0) & torch.isfinite(stored_scale) & torch.isfinite(stored_shift)
    divisor = torch.where(fits, stored_scale, 1.0)
    norm.running_var.copy_(torch.where(fits, (weight / divisor).square() - norm.eps, norm.running_var.double()))
    norm.running_mean.copy_(torch.where(fits, (bias - stored_shift) / divisor, norm.running_mean.double()))


def _on_grid(rows: Tensor, step: Tensor, levels: int) -> Tensor:
    return torch.clamp(torch.round(rows / step), -levels, levels) * step
