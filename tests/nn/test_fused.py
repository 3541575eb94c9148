"""Fused norm, addition and ReLU: values, gradients and running statistics against float64 autograd."""

import copy
import itertools
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from helpers.threads import assert_same_for_any_threads
from scenelet.nn import create_model, fused
from scenelet.nn.cpp_build import library
from scenelet.nn.norm import BatchNorm, SubSpectralNorm

needs_compiler = pytest.mark.skipif(library() is None, reason="no C++ compiler was found")

SIZES = [(3, 5, 6, 7), (2, 16, 10, 3), (4, 83, 2, 5), (1, 64, 8, 9), (2, 130, 4, 33), (2, 7, 300, 11), (1, 30, 240, 11)]
"""(batch, channels, frequency, time), with channels near the width of a vector, in one and several chunks."""


def norm_of(channels: int, sub_bands: int, affine: str, relu: bool = True) -> nn.Module:
    if affine == "plain":
        return BatchNorm(channels, relu=relu)
    return SubSpectralNorm(channels, sub_bands, affine, relu=relu)


def draw(norm: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for tensor, low, high in (
            (norm.weight, -1.5, 1.5),
            (norm.bias, -1, 1),
            (norm.running_mean, -1, 1),
            (norm.running_var, 0.5, 2),
        ):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)


def inputs(size: tuple[int, ...], residual: bool, generator: torch.Generator, dtype: torch.dtype) -> list[Tensor]:
    """Draw x with a large mean and different bands, a gradient, and a residual if requested; channels-last."""
    scale = torch.linspace(0.5, 4, size[2])[:, None]
    tensors = [torch.randn(size, generator=generator) * scale + 3 * scale, torch.randn(size, generator=generator)]
    tensors += [torch.randn(size, generator=generator)] if residual else []
    return [t.to(dtype).contiguous(memory_format=torch.channels_last) for t in tensors]


def run(norm: nn.Module, x: Tensor, gradient: Tensor, residual: Tensor | None) -> dict[str, Tensor]:
    leaves = [t.detach().clone().requires_grad_() for t in (x, residual) if t is not None]
    y = norm(*leaves)
    y.backward(gradient)
    found = {"y": y.detach(), "x": leaves[0].grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    found |= {"mean": norm.running_mean, "var": norm.running_var}
    return found | ({"residual": leaves[1].grad} if residual is not None else {})


def distance(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    return float((found.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30))


@needs_compiler
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("sub_bands", "affine"), [(1, "plain"), (1, "all"), (2, "all"), (2, "sub")])
@pytest.mark.parametrize("size", SIZES)
def test_norm_add_relu_equals_float64_autograd(
    size: tuple[int, ...], sub_bands: int, affine: str, training: bool, residual: bool, relu: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = norm_of(size[1], sub_bands, affine, relu).train(training)
    draw(ours, generator)
    x, gradient, *rest = inputs(size, residual, generator, torch.float32)
    added = rest[0] if rest else None
    assert fused.supports(x, added, ours.weight)
    reference = copy.deepcopy(ours).double()
    expected = run(reference, x.double(), gradient.double(), None if added is None else added.double())
    found = run(ours, x, gradient, added)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert distance(value, expected[name]) < 2e-5, name
        assert value.dtype == torch.float32


@needs_compiler
@pytest.mark.parametrize("residual", [False, True])
def test_norm_add_relu_in_bfloat16_is_rounded_float64(residual: bool) -> None:
    """The error is one unit in the last place, 1/128, because statistics and sums are not in bfloat16."""
    generator = torch.Generator().manual_seed(1)
    ours = norm_of(64, 2, "all")
    draw(ours, generator)
    x, gradient, *rest = inputs((4, 64, 32, 51), residual, generator, torch.bfloat16)
    added = rest[0] if rest else None
    reference = copy.deepcopy(ours).double()
    expected = run(reference, x.double(), gradient.double(), None if added is None else added.double())
    found = run(ours, x, gradient, added)
    assert found["y"].dtype == found["x"].dtype == torch.bfloat16
    assert torch.equal(found["y"] > 0, expected["y"].to(torch.bfloat16) > 0)
    assert float(((found["y"].double() - expected["y"]) / expected["y"].clamp_min(1e-3)).abs().max()) < 1 / 128
    for name in ("weight", "bias", "mean", "var"):
        assert distance(found[name], expected[name]) < 1e-3, name
    assert distance(found["x"], expected["x"]) < 1 / 128


@needs_compiler
def test_norm_add_relu_is_bit_identical_for_any_threads() -> None:
    def compute() -> Iterable[Tensor]:
        generator = torch.Generator().manual_seed(2)
        norm = norm_of(64, 2, "all")
        return run(norm, *inputs((3, 64, 64, 77), True, generator, torch.float32)).values()

    assert_same_for_any_threads(compute)


@needs_compiler
def test_norm_add_relu_of_a_large_mean_is_exact() -> None:
    generator = torch.Generator().manual_seed(3)
    x = (1e4 + torch.randn((4, 16, 8, 100), generator=generator)).contiguous(memory_format=torch.channels_last)
    norm = BatchNorm(16, relu=True)
    norm(x)
    expected = x.double().var((0, 2, 3)) * 0.1 + 0.9
    assert torch.allclose(norm.running_var.double(), expected, rtol=1e-5)


@needs_compiler
def test_norm_add_relu_propagates_nan() -> None:
    x = torch.ones(2, 16, 4, 4).to(memory_format=torch.channels_last)
    x[0, 3, 1, 1] = torch.nan
    for dtype, relu in itertools.product(fused.DTYPES, (True, False)):
        y = BatchNorm(16, relu=relu)(x.to(dtype))
        assert y[:, 3].isnan().all()
        assert y[:, 4:].isfinite().all()


@pytest.mark.parametrize("name", ["shared_resnet", "cp_resnet", "bc_resnet", "cp_mobile"])
def test_network_without_a_compiler_computes_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def logits_and_gradients() -> list[Tensor]:
        sub_bands = {"sub_bands": 2} if name == "bc_resnet" else {}
        network = create_model(
            name, num_classes=3, in_channels=2, width=8, generator=torch.Generator().manual_seed(0), **sub_bands
        )
        x = torch.randn(3, 2, 64, 33, generator=torch.Generator().manual_seed(1))
        logits = network(x.to(memory_format=torch.channels_last))
        logits.square().sum().backward()
        evaluated = network.eval()(x.to(memory_format=torch.channels_last))
        return [logits.detach(), evaluated.detach(), *(p.grad for p in network.parameters())]

    found = logits_and_gradients()
    monkeypatch.setattr(fused, "is_available", lambda: False)
    expected = logits_and_gradients()
    largest = max(float(tensor.abs().max()) for tensor in expected)  # gradients before a norm may vanish
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5 * largest)
