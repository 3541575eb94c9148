"""3x3 convolutions by Winograd's algorithm: values and gradients against float64, and when they are used."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from helpers.threads import assert_same_for_any_threads
from scenelet.nn import convolution, create_model
from scenelet.nn.blocks import to_channels_last
from scenelet.nn.convolution import Conv2d, supports_winograd
from scenelet.nn.cpp_build import library

needs_kernel = pytest.mark.skipif(
    library() is None or torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="no C++ compiler was found, or the processor has no AVX2",
)

SIZES = [(8, 24, 40, 30, 21), (128, 28, 28, 4, 5), (3, 64, 64, 33, 50), (2, 33, 130, 40, 30), (10, 256, 31, 16, 27)]
"""(batch, in channels, out channels, frequency, time), with channels near the width of a vector."""


def draw(batch: int, inputs: int, outputs: int, *size: int) -> list[Tensor]:
    """Draw x, a weight and a gradient of the output; the activations are channels-last, and x has a large mean."""
    generator = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(batch, channels, *size, generator=generator) for channels in (inputs, outputs))
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
    return [(x + 1).to(memory_format=torch.channels_last), weight, gradient.to(memory_format=torch.channels_last)]


def run(x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """Return the output, and the gradients of x and of the weight."""
    layer = Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=False).to(x.dtype)
    layer.weight = nn.Parameter(weight.clone())
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(leaf)
    y.backward(gradient)
    assert leaf.grad is not None
    assert layer.weight.grad is not None
    return y.detach(), leaf.grad, layer.weight.grad


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the length of the difference, relative to the length."""
    return float((found.double() - expected).norm() / expected.norm())


@needs_kernel
@pytest.mark.parametrize("size", SIZES)
def test_conv2d_equals_float64_autograd(size: tuple[int, ...]) -> None:
    x, weight, gradient = draw(*size)
    assert supports_winograd(x, weight)
    found = run(x, weight, gradient)
    expected = run(x.double(), weight.double(), gradient.double())
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert one.shape == other.shape
        assert distance(one, other) < 1e-5
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert found[1].is_contiguous(memory_format=torch.channels_last)


@needs_kernel
def test_conv2d_is_bit_identical_for_any_threads() -> None:
    assert_same_for_any_threads(lambda: run(*draw(3, 64, 64, 33, 50)))


@needs_kernel
def test_conv2d_propagates_nan() -> None:
    x, weight, gradient = draw(8, 24, 24, 30, 21)
    x[0, 3, 9, 9] = torch.nan
    y, *_ = run(x, weight, gradient)
    assert y[0, :, 8:11, 8:11].isnan().all()
    assert y[1:].isfinite().all()


@needs_kernel
def test_conv2d_takes_a_sliced_gradient() -> None:
    """A gradient may have any strides, such as those of `expand`."""
    x, weight, _ = draw(8, 24, 24, 30, 21)
    leaf, layer = x.requires_grad_(), Conv2d(24, 24, 3, padding=1, bias=False)
    layer.weight = nn.Parameter(weight)
    layer(leaf).sum().backward()
    assert leaf.grad is not None
    ones = torch.ones(8, 24, 30, 21, dtype=torch.float64)
    assert distance(leaf.grad, functional.conv_transpose2d(ones, weight.detach().double(), padding=1)) < 1e-5


@needs_kernel
@pytest.mark.parametrize(
    "options", [{"kernel_size": 5, "padding": 2}, {"stride": 2}, {"padding": 0}, {"groups": 2}, {"bias": True}]
)
def test_conv2d_leaves_other_convolutions_to_pytorch(options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 32, 30, 21, generator=generator).to(memory_format=torch.channels_last)
    settings: dict[str, Any] = {"kernel_size": 3, "padding": 1, "bias": False} | options
    layer = Conv2d(32, 32, **settings)
    assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))


@needs_kernel
def test_supports_winograd_refuses_what_is_not_faster() -> None:
    x, weight, _ = draw(8, 32, 32, 32, 32)
    assert supports_winograd(x, weight)
    assert not supports_winograd(x.contiguous(), weight)
    assert not supports_winograd(x.bfloat16(), weight)
    assert not supports_winograd(x[:1], weight)  # too few tiles
    assert not supports_winograd(x[:, :16], weight[:, :16])  # too few channels
    with torch.autocast("cpu", torch.bfloat16):
        assert not supports_winograd(x, weight)


@pytest.mark.parametrize("name", ["shared_resnet", "cp_resnet"])
def test_network_without_a_compiler_computes_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def logits() -> Tensor:
        network = create_model(name, num_classes=3, width=24, generator=torch.Generator().manual_seed(0))
        x = torch.randn(16, 2, 64, 33, generator=torch.Generator().manual_seed(1))
        found: Tensor = to_channels_last(network).eval()(x)
        return found.detach()

    found = logits()
    monkeypatch.setattr(convolution, "is_available", lambda: False)
    assert distance(found, logits().double()) < 1e-4
