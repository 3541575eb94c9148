"""Table 1: parameter counts to the last digit, shapes, sharing, initial weights."""

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn import create_model, list_models
from scenelet.nn.blocks import ResidualBlock, SharedResidualBlock
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.nn.registry import register_model


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
def test_parameter_counts(settings: dict[str, object], count: int) -> None:
    assert parameters(create_model("shared_resnet", **settings)) == count


def test_convolutions_and_norms_of_the_three_class_network() -> None:
    network = create_model("shared_resnet", num_classes=3)
    convolutions = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d))
    norms = sum(parameters(m) for m in network.modules() if isinstance(m, nn.BatchNorm2d | SubSpectralNorm))
    assert (convolutions, norms) == (593_792, 8_070)


def test_sub_bands_always_split_256_bands() -> None:
    seen = []
    network = create_model("shared_resnet", num_classes=3, width=4)
    for module in network.modules():
        if isinstance(module, SubSpectralNorm):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2]))
    logits = network(torch.randn(2, 2, 256, 64))
    assert logits.shape == (2, 3)
    assert seen == [128, 64, 32, 32, 16, 16]


def test_bands_that_do_not_split_name_the_layer() -> None:
    network = create_model("shared_resnet", num_classes=3, width=4)
    with pytest.raises(UsageError, match=r"rb2\.norm2: 25 frequencies"):
        network(torch.randn(2, 2, 100, 64))


def test_shared_convolutions_are_used_by_every_pass() -> None:
    block = SharedResidualBlock(4, (1, 1), repeats=3)
    calls = []
    block.conv1[0].register_forward_hook(lambda *_: calls.append(1))
    block(torch.randn(2, 4, 6, 6))
    assert (len(calls), len(block.conv1), len(block.norm1)) == (3, 1, 3)


def test_convolutions_of_their_own_are_each_used_once() -> None:
    block = SharedResidualBlock(4, (1, 1), repeats=3, shared=False)
    calls = []
    for index, module in enumerate([*block.conv1, *block.conv2]):
        module.register_forward_hook(lambda *_, index=index: calls.append(index))
    block(torch.randn(2, 4, 6, 6))
    assert calls == [0, 3, 1, 4, 2, 5]


def test_one_repeat_equals_a_plain_block() -> None:
    shared, plain = SharedResidualBlock(4, (3, 1), repeats=1), ResidualBlock(4, 4, (3, 1), BatchNorm)
    plain.conv1.load_state_dict(shared.conv1[0].state_dict())
    plain.conv2.load_state_dict(shared.conv2[0].state_dict())
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(shared(x), plain(x))


@pytest.mark.parametrize("init", ["kaiming", "zero_residual"])
def test_initial_weights_come_from_the_generator_alone(init: str) -> None:
    def weights(global_seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        network = create_model(
            "shared_resnet", num_classes=3, width=8, init=init, generator=torch.Generator().manual_seed(3)
        )
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(weights(0), weights(1))


def test_zero_residual_initialization() -> None:
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


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register_model("shared_resnet")(nn.Identity)


def test_names() -> None:
    assert "shared_resnet" in list_models()
    with pytest.raises(UsageError, match="did you mean 'shared_resnet'"):
        create_model("shared_resnett", num_classes=3)


def test_the_stems_stride_is_of_frequency_and_time() -> None:
    network = create_model("shared_resnet", num_classes=3, stem_stride=(2, 4))
    assert network.stem(torch.zeros(1, 2, 64, 64)).shape == (1, 64, 32, 16)
    assert network.stem[0].kernel_size == (5, 9)
