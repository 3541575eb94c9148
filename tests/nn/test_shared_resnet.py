"""Shared-ResNet: exact parameter counts, shapes and initial weights."""

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn import create_model
from scenelet.nn.norm import SubSpectralNorm


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"num_classes": 10}, 603_668),
        ({"num_classes": 3}, 601_862),
        ({"num_classes": 10, "sub_bands": 1}, 603_668),
        ({"num_classes": 10, "shared": False}, 931_348),
        ({"num_classes": 3, "repeats": 1}, 601_862 - 2 * (2 * 256 + 2 * 512)),
        ({"num_classes": 3, "affine": "sub"}, 601_862 + 1_280),
        ({"num_classes": 3, "in_channels": 1}, 601_862 - 1_600),
        ({"num_classes": 3, "stem_stride": (2, 4)}, 601_862 + 2 * 64 * 5 * (9 - 5)),
    ],
)
def test_shared_resnet_has_the_papers_parameter_counts(settings: dict[str, object], count: int) -> None:
    assert parameters(create_model("shared_resnet", **settings)) == count


def test_shared_resnet_counts_convolutions_and_norms() -> None:
    network = create_model("shared_resnet", num_classes=3)
    convolutions = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    norms = sum(parameters(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d | SubSpectralNorm))
    assert (convolutions, norms) == (593_792, 8_070)


def test_shared_resnet_halves_256_bands_to_16() -> None:
    bands = []
    network = create_model("shared_resnet", num_classes=3, width=4)
    for module in network.modules():
        if isinstance(module, SubSpectralNorm):
            module.register_forward_pre_hook(lambda _, inputs: bands.append(inputs[0].shape[2]))
    logits = network(torch.randn(2, 2, 256, 64))
    assert logits.shape == (2, 3)
    assert bands == [128, 64, 32, 32, 16, 16]


def test_shared_resnet_names_the_layer_that_cannot_split() -> None:
    network = create_model("shared_resnet", num_classes=3, width=4)
    with pytest.raises(UsageError, match=r"rb2\.norm2: 25 frequencies"):
        network(torch.randn(2, 2, 100, 64))


@pytest.mark.parametrize("init", ["kaiming", "zero_residual"])
def test_shared_resnet_draws_from_the_generator_only(init: str) -> None:
    def weights(global_seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        network = create_model(
            "shared_resnet", num_classes=3, width=8, init=init, generator=torch.Generator().manual_seed(3)
        )
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(weights(0), weights(1))


def test_shared_resnet_with_zero_residual_weights() -> None:
    network = create_model(
        "shared_resnet", num_classes=3, init="zero_residual", generator=torch.Generator().manual_seed(0)
    )
    assert network.residual_additions == 12
    assert not network.rb3.conv2.weight.any()
    assert not network.srb2.conv2[0].weight.any()
    assert not network.head[0].weight.any()
    expected = (2 / (9 * 64)) ** 0.5 * 12**-0.5
    assert float(network.rb3.conv1.weight.detach().std()) == pytest.approx(expected, rel=0.02)
    assert float(network.rb6.shortcut[0].weight.detach().std()) == pytest.approx((2 / 256) ** 0.5, rel=0.02)


def test_shared_resnet_applies_stem_stride_per_axis() -> None:
    network = create_model("shared_resnet", num_classes=3, stem_stride=(2, 4))
    assert network.stem(torch.zeros(1, 2, 64, 64)).shape == (1, 64, 32, 16)
    assert network.stem[0].kernel_size == (5, 9)
