"""Convolutions in channels-last memory, each computed in the way that is fastest on this CPU.

PyTorch's 3x3 convolutions are direct. `winograd.cpp` needs a quarter of their multiplications. On processors without
AVX-512, PyTorch's weight gradient of a large 3x3 convolution takes four times as long in this memory layout as in its
default one.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scenelet.nn.cpp_build import call, is_available

MIN_CHANNELS, MAX_CHANNELS, MIN_TILES = 24, 256, 128
"""Sizes for which `winograd.cpp` was measured to be faster than PyTorch, with one thread and with two."""


class Conv2d(nn.Conv2d):
    """Convolution as `torch.nn.Conv2d`, with a faster implementation where this machine has one.

    Shape: as `torch.nn.Conv2d`.

    >>> layer = Conv2d(2, 4, 3, padding=1, bias=False)
    >>> layer(torch.zeros(1, 2, 8, 5)).shape
    torch.Size([1, 4, 8, 5])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, frequency, time) to (batch, out_channels, frequency', time')."""
        if self._is_3x3() and supports_winograd(x, self.weight):
            y: Tensor = _Winograd.apply(x, self.weight)  # type: ignore[no-untyped-call]
            return y
        return super().forward(x)

    def _is_3x3(self) -> bool:
        sizes = self.kernel_size, self.stride, self.padding, self.dilation
        return sizes == ((3, 3), (1, 1), (1, 1), (1, 1)) and self.groups == 1 and self.bias is None


def supports_winograd(x: Tensor, weight: Tensor) -> bool:
    """Return whether `winograd.cpp` supports these inputs of a 3x3 convolution, and is fast for them.

    It takes float32 in channels-last memory on a CPU with AVX2 or AVX-512. The result is False without a compiler, and
    in mixed precision, where PyTorch computes in bf16.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and all(MIN_CHANNELS <= channels <= MAX_CHANNELS for channels in weight.shape[:2])
        and x.shape[0] * (x.shape[2] // 4) * (x.shape[3] // 4) >= MIN_TILES
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        and is_available()
    )


class _Shape(ctypes.Structure):
    """Struct `Shape` of `winograd.cpp`."""

    _fields_ = (
        ("batch", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("in_channels", ctypes.c_int64),
        ("out_channels", ctypes.c_int64),
        ("threads", ctypes.c_int),
    )


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        gradient_x = gradient_weight = None
        if ctx.needs_input_grad[0]:  # the same convolution with turned kernels
            gradient_x = _convolve(gradient, weight.flip(2, 3).transpose(0, 1))
        if ctx.needs_input_grad[1]:
            out_channels, in_channels = weight.shape[:2]
            sums = torch.empty(3, 3, in_channels, out_channels)
            call("weight_gradient_3x3", x, gradient, _shape(x, in_channels, out_channels), sums)
            gradient_weight = sums.permute(3, 2, 0, 1)
        return gradient_x, gradient_weight


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    out_channels, in_channels = weight.shape[:2]
    y = torch.empty((len(x), out_channels, *x.shape[2:]), memory_format=torch.channels_last)
    call("convolve_3x3", x, weight.permute(2, 3, 1, 0).contiguous(), _shape(x, in_channels, out_channels), y)
    return y


def _shape(x: Tensor, in_channels: int, out_channels: int) -> _Shape:
    return _Shape(len(x), *x.shape[2:], in_channels, out_channels, torch.get_num_threads())
