"""Norm, optional residual addition and optional ReLU as one differentiable function, implemented by `fused.cpp`.

Separate layers need many more passes over the activations in memory. Without a compiler, `norm.py` uses PyTorch's
layers instead.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scenelet.nn.cpp_build import call, is_available

DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def supports(x: Tensor, residual: Tensor | None, weight: Tensor) -> bool:
    """Return whether `norm_add_relu` supports these inputs: on the CPU, channels-last, in float32 or bfloat16.

    The result is False if the library is not compiled. See `norm_add_relu` for the arguments.
    """
    return (
        x.device.type == "cpu"
        and x.dtype in DTYPES
        and weight.dtype == torch.float32
        and x.shape[0] * x.shape[2] * x.shape[3] > x.shape[2]  # a variance needs more than one value
        and x.is_contiguous(memory_format=torch.channels_last)
        and (residual is None or residual.shape == x.shape)
        and is_available()
    )


def norm_add_relu(
    x: Tensor,
    residual: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    relu: bool,
) -> Tensor:
    """Return relu((x - mean) / sqrt(var + eps) * weight + bias + residual), separately for each sub-band.

    In training, mean and var are those of the batch, and the running statistics are updated in place. Otherwise they
    are the running statistics. If `relu` is False, there is no ReLU.

    Args:
        x, residual: (batch, channels, frequency, time), channels-last; see `supports`.
        running_mean, running_var: (S, channels); S divides the frequency axis.
        weight, bias: (S, channels) or (1, channels).
        training, momentum, eps: as in `torch.nn.functional.batch_norm`.
    """
    if residual is not None:
        residual = residual.to(x.dtype, memory_format=torch.channels_last)
    y: Tensor = _NormAddRelu.apply(  # type: ignore[no-untyped-call]
        x, residual, running_mean, running_var, weight, bias, training, momentum, eps, relu
    )
    return y


class _Shape(ctypes.Structure):
    """Struct `Shape` of `fused.cpp`."""

    _fields_ = (
        ("batch", ctypes.c_int64),
        ("sub_bands", ctypes.c_int64),
        ("positions", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("threads", ctypes.c_int),
    )


class _NormAddRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        running_mean: Tensor,
        running_var: Tensor,
        weight: Tensor,
        bias: Tensor,
        training: bool,
        momentum: float,
        eps: float,
        relu: bool,
    ) -> Tensor:
        shape, dtype = _shape(x, len(running_mean)), DTYPES[x.dtype]
        mean, var = running_mean.clone(), running_var.clone()  # (S, channels)
        count = shape.batch * shape.positions
        if training:
            call(f"statistics_{dtype}", x, shape, mean, var)
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(var * (count / (count - 1)), momentum)
        rstd = torch.rsqrt(var + eps)
        scale = (weight * rstd).contiguous()
        shift = bias - mean * scale
        y = torch.empty_like(x)
        call(f"forward_{dtype}", x, residual, scale, shift, int(relu), shape, y)
        ctx.save_for_backward(x, y if relu and residual is not None else None, mean, rstd, scale, shift)
        ctx.relu, ctx.has_residual = relu, residual is not None
        ctx.training, ctx.shared, ctx.count = training, len(weight) == 1, count
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, mean, rstd, scale, shift = ctx.saved_tensors
        shape, dtype = _shape(x, len(mean)), DTYPES[x.dtype]
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        gradient_residual = None if y is None else torch.empty_like(x)
        sums = torch.empty(2, *mean.shape, dtype=torch.float64)
        relu = int(ctx.relu)
        call(f"backward_sums_{dtype}", x, gradient, y, scale, shift, mean, relu, shape, gradient_residual, sums)
        gradient_bias = sums[0].float()
        gradient_weight = sums[1].float() * rstd
        slope, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.training:  # the statistics depend on x too
            slope = scale * rstd * gradient_weight / -ctx.count
            constant = scale * gradient_bias / -ctx.count
        gradient_x = torch.empty_like(x)
        masked = gradient if gradient_residual is None else gradient_residual
        is_masked = int(gradient_residual is not None or not ctx.relu)
        call(f"backward_input_{dtype}", x, masked, scale, shift, mean, slope, constant, is_masked, shape, gradient_x)
        if ctx.shared:
            gradient_weight, gradient_bias = gradient_weight.sum(0, True), gradient_bias.sum(0, True)
        gradients = gradient_x, masked if ctx.has_residual else None, None, None, gradient_weight, gradient_bias
        return *gradients, None, None, None, None


def _shape(x: Tensor, sub_bands: int) -> _Shape:
    batch, channels, frequency, time = x.shape
    return _Shape(batch, sub_bands, frequency // sub_bands * time, channels, torch.get_num_threads())
