"""Broadcasted residual block of BC-ResNet, implemented by `broadcast.cpp`.

Separate layers need many more passes over the activations in memory. Without a compiler, `bc_resnet.py` uses PyTorch's
layers instead.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scenelet.nn.cpp_build import call
from scenelet.nn.fused import DTYPES
from scenelet.nn.norm import SubSpectralNorm


def broadcasted(
    x: Tensor, convolution: nn.Conv2d, norm: SubSpectralNorm, f1: Callable[[Tensor], Tensor], same: bool
) -> Tensor:
    """Return relu(y + f1(mean of y over frequency)), where y = norm(convolution(x)). If `same`, x is added too.

    In training, the running statistics of the norm are updated in place.

    Args:
        x: (batch, channels, frequency, time), channels-last; see `fused.supports`.
        convolution: depthwise over 3 frequencies, with padding 1, and stride 1 in time.
        norm: with a scale and shift per sub-band, and without ReLU.
        f1: maps (batch, channels, 1, time) to the same shape.
        same: add x before the ReLU.
    """
    (batch, channels, in_rows, frames), stride = x.shape, int(convolution.stride[0])
    rows = (in_rows - 1) // stride + 1
    shape = _Shape(batch, in_rows, rows, stride, norm.sub_bands, frames, channels, torch.get_num_threads(), same)
    values, mean, *constants = _NormalizedMean.apply(x, convolution.weight, norm.weight, norm.bias, norm, shape)  # type: ignore[no-untyped-call]
    y: Tensor = _AddRow.apply(values, f1(mean), x.detach(), *constants, shape)  # type: ignore[no-untyped-call]
    return y


class _Shape(ctypes.Structure):
    """Struct `Shape` of `broadcast.cpp`, and the sums that `_AddRow` computes for `_NormalizedMean`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "in_rows", "rows", "stride", "sub_bands", "frames", "channels")),
        ("threads", ctypes.c_int),
        ("same", ctypes.c_int),
    )
    row: Tensor
    sums: Tensor


class _NormalizedMean(torch.autograd.Function):
    """Map x to its normalized convolution and the mean of that over frequency.

    The normalized convolution is never stored. A tensor without values stands for it, and its gradient is that of y.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, norm_weight: Tensor, norm_bias: Tensor, norm: SubSpectralNorm, s: _Shape
    ) -> tuple[Tensor, ...]:
        taps = weight.view(s.channels, 3).t().contiguous()
        mean, var = norm.running_mean.clone(), norm.running_var.clone()  # (S, channels)
        columns = torch.empty(s.batch, s.sub_bands, s.frames, s.channels)
        batch_mean, batch_var = torch.empty_like(mean), torch.empty_like(var)
        call(f"broadcast_statistics_{DTYPES[x.dtype]}", x, taps, s, columns, batch_mean, batch_var)
        count = s.batch * s.frames * s.rows // s.sub_bands
        if norm.training:
            mean, var = batch_mean, batch_var
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(var * (count / (count - 1)), norm.momentum)
        rstd = torch.rsqrt(var + norm.eps)
        scale = (norm_weight * rstd).contiguous()
        shift = norm_bias - mean * scale
        row = (columns * scale[:, None]).sum(1) / s.rows + shift.mean(0)  # (batch, time, channels)
        ctx.save_for_backward(x, taps, scale, shift, mean, rstd, columns)
        ctx.shape, ctx.training, ctx.count = s, norm.training, count
        ctx.mark_non_differentiable(taps, scale, shift, mean)
        values = x.new_empty(1).expand(s.batch, s.channels, s.rows, s.frames)
        return values, row.to(x.dtype).permute(0, 2, 1)[:, :, None], taps, scale, shift, mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, gradient_mean: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        (x, taps, scale, shift, mean, rstd, columns), s = ctx.saved_tensors, ctx.shape
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        level = gradient_mean[:, :, 0].permute(0, 2, 1).float().contiguous() / s.rows  # (batch, time, channels)
        height = s.rows // s.sub_bands
        bias = s.sums[0] + level.double().sum((0, 1)) * height
        product = s.sums[1] + (level[:, None] * (columns - mean[:, None] * height)).double().sum((0, 2))
        gradient_bias, gradient_weight = bias.float(), product.float() * rstd
        slope, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.training:  # the statistics depend on x too
            slope = scale * rstd * gradient_weight / -ctx.count
            constant = scale * gradient_bias / -ctx.count
        gradient_x, gradient_taps = torch.empty_like(x), torch.empty(3, s.channels, dtype=torch.float64)
        call(
            f"broadcast_backward_input_{DTYPES[x.dtype]}",
            *(x, taps, scale, shift, s.row, mean, slope, constant, gradient, level, s, gradient_x, gradient_taps),
        )
        gradient_taps = gradient_taps.t().float().reshape(s.channels, 1, 3, 1)
        return gradient_x, gradient_taps, gradient_weight, gradient_bias, None, None


class _AddRow(torch.autograd.Function):
    """Map the normalized convolution and a row of time to y."""

    @staticmethod
    def forward(
        ctx: Any, _: Tensor, row: Tensor, x: Tensor, taps: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, s: _Shape
    ) -> Tensor:
        row = row[:, :, 0].permute(0, 2, 1).float().contiguous()
        y = torch.empty(
            (s.batch, s.channels, s.rows, s.frames), dtype=x.dtype, memory_format=torch.channels_last
        )
        call(f"broadcast_forward_{DTYPES[x.dtype]}", x, taps, scale, shift, row, s, y)
        ctx.save_for_backward(x, taps, scale, shift, mean, row)
        ctx.shape = s
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, taps, scale, shift, mean, row), s = ctx.saved_tensors, ctx.shape
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        gradient_row = torch.empty_like(row)
        s.row, s.sums = row, torch.empty(2, *mean.shape, dtype=torch.float64)
        call(
            f"broadcast_backward_sums_{DTYPES[x.dtype]}",
            *(x, taps, scale, shift, row, mean, gradient, s, gradient_row, s.sums),
        )
        gradient_row = gradient_row.to(x.dtype).permute(0, 2, 1)[:, :, None]
        return gradient, gradient_row, None, None, None, None, None, None
