"""BC-ResNet's block in C++: values, gradients and running statistics against float64 autograd."""

import copy
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from helpers.threads import assert_same_for_any_threads
from scenelet.nn.bc_resnet import BroadcastedBlock
from scenelet.nn.cpp_build import library
from scenelet.nn.dropout import reseed

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler was found")

BLOCKS = [(7, 7, 1, 2), (16, 16, 1, 1), (5, 13, 2, 2), (4, 83, 1, 3), (38, 38, 1, 2), (6, 30, 2, 1)]
"""(in_channels, channels, stride, sub_bands), with channels near the width of a vector."""


def make(in_channels: int, channels: int, stride: int, sub_bands: int) -> BroadcastedBlock:
    """Build a block with random values, without dropout."""
    block = BroadcastedBlock(in_channels, channels, stride, 2, sub_bands)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in [*block.named_parameters(), *block.named_buffers()]:
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator) * 0.5
            tensor.data.copy_(drawn.abs() + 0.5 if name.endswith("var") else drawn)
    block.dropout.p = 0
    return block


def inputs(block: BroadcastedBlock, frames: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Draw x, (2, in_channels, 12, frames) with a large mean, and the gradient of the output, both channels-last."""
    generator, stride = torch.Generator().manual_seed(1), block.over_frequency.stride[0]
    channels = block.over_frequency.out_channels
    first = block.over_frequency if block.same else block.change.get_submodule("0")
    assert isinstance(first, torch.nn.Conv2d)
    x = 3 + torch.randn(2, first.in_channels, 12, frames, generator=generator)
    gradient = torch.randn(2, channels, 12 // stride, frames, generator=generator)
    x, gradient = (t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (x, gradient))
    return x, gradient


def run(block: BroadcastedBlock, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    x = x.detach().clone().requires_grad_()
    y = block(x)
    y.backward(gradient)
    found = {"y": y.detach(), "x": x.grad}
    found |= {name: p.grad for name, p in block.named_parameters()}
    return found | {name: b.clone() for name, b in block.named_buffers() if b.is_floating_point()}


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    return float((found.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frames", [9, 77])
@pytest.mark.parametrize("sizes", BLOCKS)
def test_block_equals_float64_autograd(sizes: tuple[int, int, int, int], frames: int, training: bool) -> None:
    block = make(*sizes).train(training)
    x, gradient = inputs(block, frames, torch.float32)
    expected = run(copy.deepcopy(block).double(), x.double(), gradient.double())
    is_plain = []
    block.norm.register_forward_hook(lambda *_: is_plain.append(True))
    found = run(block, x, gradient)
    assert not is_plain  # the layers are not called
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert distance(value, expected[name]) < 1e-4, name


def test_block_in_bfloat16_is_close_to_float64() -> None:
    block = make(38, 38, 1, 2)
    x, gradient = inputs(block, 30, torch.bfloat16)
    expected = run(copy.deepcopy(block).double(), x.double(), gradient.double())
    with torch.autocast("cpu", torch.bfloat16):
        found = run(block, x, gradient)
    assert found["y"].dtype == found["x"].dtype == torch.bfloat16
    for name, value in found.items():
        error = (value.double() - expected[name]).norm() / expected[name].norm().clamp_min(1e-3)
        assert error < 0.03, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_block_is_bit_identical_for_any_threads(dtype: torch.dtype) -> None:
    def compute() -> Iterable[Tensor]:
        block = make(19, 19, 1, 2)
        # PyTorch's convolution may depend on the count of threads
        vars(block)["_modules"]["mix"] = torch.nn.Identity()
        return run(block, *inputs(block, 200, dtype)).values()

    assert_same_for_any_threads(compute)


def test_block_propagates_nan() -> None:
    block = make(7, 7, 1, 2).eval()
    x, _ = inputs(block, 9, torch.float32)
    x[0, 3, 5, 4] = torch.nan
    with torch.no_grad():
        y = block(x)
    assert y[0, 3, 4:7, 4].isnan().all()
    assert y[1].isfinite().all()
    assert block.train()(x)[:, 3].isnan().all()


def test_block_draws_the_same_dropout_as_its_layers() -> None:
    block = make(16, 16, 1, 2)
    block.dropout.p = 0.5
    x, _ = inputs(block, 20, torch.float32)
    reseed(block, 3)
    found = block(x)
    reseed(block, 3)
    expected = block.double()(x.double())
    assert distance(found.detach(), expected.detach()) < 1e-4
