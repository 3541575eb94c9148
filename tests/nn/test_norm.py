"""SubSpectralNorm compared with batch norm: values, gradients, running statistics."""

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn.norm import BatchNorm, SubSpectralNorm

C, F, T = 5, 12, 7


def sample(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    scale = torch.linspace(0.5, 4, F, dtype=dtype)[:, None]
    return torch.randn(3, C, F, T, generator=torch.Generator().manual_seed(0), dtype=dtype) * scale + scale


def reference(sub_bands: int) -> nn.ModuleList:
    return nn.ModuleList(nn.BatchNorm2d(C) for _ in range(sub_bands)).double()


def run_reference(norms: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    parts = x.chunk(len(norms), dim=2)
    return torch.cat([norm(part) for norm, part in zip(norms, parts, strict=True)], dim=2)


@pytest.mark.parametrize("affine", ["all", "sub"])
@pytest.mark.parametrize("sub_bands", [1, 2, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_sub_spectral_norm_equals_norms_per_band(affine: str, sub_bands: int, layout: torch.memory_format) -> None:
    ours, theirs = SubSpectralNorm(C, sub_bands, affine).double(), reference(sub_bands)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2, generator=generator)
        ours.bias.uniform_(-1, 1, generator=generator)
        for s, norm in enumerate(theirs):
            norm.weight.copy_(ours.weight[s if affine == "sub" else 0])
            norm.bias.copy_(ours.bias[s if affine == "sub" else 0])
    x = sample().to(memory_format=layout)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        y, expected = ours(a), run_reference(theirs, b)
        assert torch.allclose(y, expected, atol=1e-12)
    assert y.shape == x.shape
    gradient = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    ours.train(), theirs.train()
    ours(a).backward(gradient)
    run_reference(theirs, b).backward(gradient)
    assert torch.allclose(a.grad, b.grad, atol=1e-12)
    weights = torch.stack([norm.weight.grad for norm in theirs])
    assert torch.allclose(ours.weight.grad, weights if affine == "sub" else weights.sum(0, keepdim=True))
    assert torch.allclose(ours.running_var, torch.stack([norm.running_var for norm in theirs]))
    assert torch.allclose(ours.running_mean, torch.stack([norm.running_mean for norm in theirs]))


def test_sub_spectral_norm_standardizes_each_sub_band() -> None:
    y = SubSpectralNorm(C, 2).double()(sample())
    for half in y.chunk(2, dim=2):
        assert torch.allclose(half.mean((0, 2, 3)), torch.zeros(C, dtype=torch.float64), atol=1e-6)
        assert torch.allclose(half.var((0, 2, 3), correction=0), torch.ones(C, dtype=torch.float64), atol=1e-3)


def test_sub_spectral_norm_keeps_channels_last() -> None:
    y = SubSpectralNorm(C, 2)(sample(torch.float32).to(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("affine", "count"), [("all", 2 * C), ("sub", 2 * C * 3)])
def test_sub_spectral_norm_parameter_count(affine: str, count: int) -> None:
    assert sum(p.numel() for p in SubSpectralNorm(C, 3, affine).parameters()) == count


def test_sub_spectral_norm_names_layer_and_sizes() -> None:
    norm = SubSpectralNorm(C, 5)
    norm.layer = "rb2.norm2"
    with pytest.raises(UsageError, match=r"rb2\.norm2: 12 frequencies do not split into 5"):
        norm(sample())


def test_sub_spectral_norm_refuses_an_unknown_affine() -> None:
    with pytest.raises(UsageError, match="affine is 'none'"):
        SubSpectralNorm(C, 2, "none")


@pytest.mark.parametrize("momentum", [None, float("nan"), -0.1, 1.5])
def test_norms_refuse_a_momentum_out_of_range(momentum: object) -> None:
    """PyTorch's batch norm takes None for a cumulative average, which these norms do not have."""
    for norm in (BatchNorm, lambda channels, momentum: SubSpectralNorm(channels, 2, momentum=momentum)):
        with pytest.raises(UsageError, match=rf"^momentum is {momentum}; it must be a number from 0 to 1$"):
            norm(4, momentum=momentum)
