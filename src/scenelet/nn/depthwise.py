"""Depthwise convolution, implemented by `depthwise.cpp`.

PyTorch's takes many times as long as its arithmetic if a clip has few rows, above all in its weight gradient.
"""

import ctypes
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scenelet.nn import fused
from scenelet.nn.cpp_build import call

Pair = tuple[int, int]


class DepthwiseConv2d(nn.Conv2d):
    """Convolution of each channel with its own kernel, with stride 1 and without bias.

    Args:
        channels: channels before and after the convolution.
        kernel, padding, dilation: of frequency and time.

    Shape: (batch, channels, frequency, time) -> (batch, channels, frequency', time').

    >>> layer = DepthwiseConv2d(4, kernel=(1, 3), padding=(0, 1))
    >>> layer(torch.zeros(1, 4, 8, 5)).shape
    torch.Size([1, 4, 8, 5])
    """

    def __init__(self, channels: int, kernel: Pair, padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> None:
        super().__init__(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frequency, time) to (batch, channels, frequency', time')."""
        if not fused.supports(x, None, self.weight):
            return super().forward(x)
        y: Tensor = _Depthwise.apply(x, self.weight, self.padding, self.dilation)  # type: ignore[no-untyped-call]
        return y


class _Shape(ctypes.Structure):
    """Struct `Shape` of `depthwise.cpp`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "in_rows", "in_frames", "rows", "frames", "channels")),
        *((name, ctypes.c_int64) for name in ("kernel_rows", "kernel_frames", "padding_rows", "padding_frames")),
        *((name, ctypes.c_int64) for name in ("dilation_rows", "dilation_frames")),
        ("threads", ctypes.c_int),
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: Pair, dilation: Pair) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return _convolve(x, weight, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), padding, dilation = ctx.saved_tensors, ctx.padding, ctx.dilation
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        kernel = weight.shape[2:]
        # the same convolution with turned kernels
        opposite = [d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True)]
        gradient_x = _convolve(gradient, weight.flip(2, 3), cast(Pair, tuple(opposite)), dilation)
        sums = torch.empty(kernel.numel(), x.shape[1], dtype=torch.float64)
        shape = _shape(x, kernel, padding, dilation)
        call(f"depthwise_weight_{fused.DTYPES[x.dtype]}", x, gradient, shape, sums)
        return gradient_x, sums.t().float().reshape(weight.shape), None, None


def _convolve(x: Tensor, weight: Tensor, padding: Pair, dilation: Pair) -> Tensor:
    shape = _shape(x, weight.shape[2:], padding, dilation)
    y = torch.empty(
        (shape.batch, shape.channels, shape.rows, shape.frames), dtype=x.dtype, memory_format=torch.channels_last
    )
    call(f"depthwise_{fused.DTYPES[x.dtype]}", x, weight.flatten(1).t().contiguous(), shape, y)
    return y


def _shape(x: Tensor, kernel: torch.Size, padding: Pair, dilation: Pair) -> _Shape:
    batch, channels, *inputs = x.shape
    sizes = zip(inputs, kernel, padding, dilation, strict=True)
    outputs = [size + 2 * p - d * (k - 1) for size, k, p, d in sizes]
    return _Shape(batch, *inputs, *outputs, channels, *kernel, *padding, *dilation, torch.get_num_threads())
