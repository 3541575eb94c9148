"""Depthwise convolution in C++: values and gradients against float64 autograd."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.threads import assert_same_for_any_threads
from scenelet.nn import fused
from scenelet.nn.cpp_build import library
from scenelet.nn.depthwise import DepthwiseConv2d

needs_compiler = pytest.mark.skipif(library() is None, reason="no C++ compiler was found")

LAYERS = [
    (5, (1, 3), (0, 8), (1, 8)),
    (19, (1, 3), (0, 1), (1, 1)),
    (64, (5, 5), (0, 2), (1, 1)),
    (72, (3, 3), (1, 1), (1, 1)),
    (95, (3, 5), (1, 0), (1, 2)),
]
"""Arguments of `DepthwiseConv2d`."""


def run(layer: DepthwiseConv2d, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    y.backward(gradient)
    return {"y": y.detach(), "x": x.grad, "weight": layer.weight.grad}


def draw(layer: DepthwiseConv2d, frames: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Draw x and the gradient of the output, both channels-last."""
    generator = torch.Generator().manual_seed(0)
    layer.weight.data.copy_(torch.randn(layer.weight.shape, generator=generator))
    x = torch.randn(3, layer.in_channels, 6, frames, generator=generator)
    gradient = torch.randn(layer(x).shape, generator=generator)
    x, gradient = (t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (x, gradient))
    return x, gradient


@needs_compiler
@pytest.mark.parametrize("frames", [9, 53])
@pytest.mark.parametrize("arguments", LAYERS)
def test_depthwise_equals_float64_autograd(arguments: tuple[Any, ...], frames: int) -> None:
    layer = DepthwiseConv2d(*arguments)
    x, gradient = draw(layer, frames)
    assert fused.supports(x, None, layer.weight)
    expected = run(copy.deepcopy(layer).double(), x.double(), gradient.double())
    for name, value in run(layer, x, gradient).items():
        assert value.dtype == torch.float32
        assert float((value - expected[name]).abs().max() / expected[name].abs().max()) < 1e-5, name


@needs_compiler
def test_depthwise_in_bfloat16_is_rounded_float64() -> None:
    layer = DepthwiseConv2d(*LAYERS[2])
    x, gradient = draw(layer, 20, torch.bfloat16)
    expected = run(copy.deepcopy(layer).double(), x.double(), gradient.double())
    found = run(layer, x, gradient)
    assert found["y"].dtype == found["x"].dtype == torch.bfloat16
    for name, value in found.items():
        scale = expected[name].abs().clamp_min(1e-2 * float(expected[name].abs().max()))
        assert float(((value.double() - expected[name]) / scale).abs().max()) < 1 / 128, name


@needs_compiler
def test_depthwise_is_bit_identical_for_any_threads() -> None:
    def compute() -> Iterable[Tensor]:
        layer = DepthwiseConv2d(*LAYERS[2])
        return run(layer, *draw(layer, 40)).values()

    assert_same_for_any_threads(compute)


@needs_compiler
def test_depthwise_propagates_nan() -> None:
    layer = DepthwiseConv2d(*LAYERS[1])
    x, _ = draw(layer, 12)
    x[1, 4, 2, 5] = torch.nan
    expected = torch.zeros(x.shape, dtype=torch.bool)
    expected[1, 4, 2, 4:7] = True
    assert torch.equal(layer(x).isnan(), expected)


def test_depthwise_without_channels_last_is_pytorch() -> None:
    layer = DepthwiseConv2d(4, (1, 3), (0, 1))
    x = torch.randn(2, 4, 3, 7)
    expected = torch.nn.functional.conv2d(x, layer.weight, padding=(0, 1), groups=4)
    assert torch.equal(layer(x), expected)
