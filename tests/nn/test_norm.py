"""SubSpectralNorm compared with batch norm: values, gradients, running statistics."""

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn import create_model
from scenelet.nn.norm import BatchNorm, ResidualNorm, SubSpectralNorm

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
@pytest.mark.parametrize("on_gpu", [False, True])  # a GPU's path is PyTorch's SyncBatchNorm, which one process can run
def test_sub_spectral_norm_equals_norms_per_band(
    affine: str, sub_bands: int, layout: torch.memory_format, on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronized = []
    if on_gpu:
        monkeypatch.setattr(torch.Tensor, "is_cuda", True)
        forward = nn.SyncBatchNorm.forward
        monkeypatch.setattr(
            nn.SyncBatchNorm, "forward", lambda self, x: synchronized.append(self.training) or forward(self, x)
        )
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
    assert synchronized == ([True, True, True] if on_gpu else [])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_residual_norm_equals_instance_norm_over_frequencies(layout: torch.memory_format) -> None:
    x = sample().to(memory_format=layout)
    # PyTorch's instance norm has a mean per clip and channel; here frequencies are its channels
    expected = 0.1 * x + nn.functional.instance_norm(x.transpose(1, 2), eps=1e-5).transpose(1, 2)
    y = ResidualNorm()(x)
    assert torch.allclose(y, expected, atol=1e-12)
    assert y.is_contiguous(memory_format=layout)


def test_residual_norm_removes_most_of_a_response_and_a_gain() -> None:
    """A microphone adds dB per frequency: a tenth of them is left."""
    x, response = sample(), torch.linspace(-20, 20, F, dtype=torch.float64)[:, None]
    changed, plain = ResidualNorm()(x + response), ResidualNorm()(x)
    assert torch.allclose(changed - plain, (0.1 * response).expand_as(x), atol=1e-9)
    clips = ResidualNorm()(x[1:])
    assert torch.equal(clips, plain[1:])  # other clips of the batch change nothing


def test_residual_norm_of_silence_is_finite_and_of_bf16_is_rounded_fp32() -> None:
    silence = torch.full((1, 2, 4, 5), -3.0)
    assert torch.allclose(ResidualNorm()(silence), torch.tensor(-0.3))
    x = sample().bfloat16()
    assert torch.equal(ResidualNorm()(x), ResidualNorm()(x.float()).bfloat16())


def test_residual_norm_has_the_gradient_of_its_values() -> None:
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(ResidualNorm(), x)


@pytest.mark.parametrize("name", ["shared_resnet", "bc_resnet", "cp_mobile"])
@torch.no_grad()
def test_residual_norm_of_a_network_hides_most_of_a_response(name: str) -> None:
    sub_bands = {} if name == "cp_mobile" else {"sub_bands": 2}
    settings = {"num_classes": 3, "in_channels": 1, "width": 8, **sub_bands}
    plain, normed = (
        create_model(name, residual_norm=on, generator=torch.Generator().manual_seed(0), **settings).eval()
        for on in (False, True)
    )
    assert [value.shape for value in plain.parameters()] == [value.shape for value in normed.parameters()]
    x = torch.randn(2, 1, 64, 33, generator=torch.Generator().manual_seed(1))
    response = torch.linspace(-1, 1, 64)[:, None]
    change, less = (float((network(x + response) - network(x)).abs().max()) for network in (plain, normed))
    assert less < 0.5 * change


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
