"""Residual blocks: shared convolutions, shortcuts, and pools."""

import pytest
import torch
from torch import nn

from scenelet.nn import create_model
from scenelet.nn.blocks import FrequencyMeanPool, GlobalMeanPool, ResidualBlock, SharedResidualBlock, to_channels_last
from scenelet.nn.norm import BatchNorm


def test_shared_block_uses_its_convolutions_in_every_pass() -> None:
    block = SharedResidualBlock(4, (1, 1), repeats=3)
    calls = []
    block.conv1[0].register_forward_hook(lambda *_: calls.append(1))
    block(torch.randn(2, 4, 6, 6))
    assert (len(calls), len(block.conv1), len(block.norm1)) == (3, 1, 3)


def test_unshared_block_uses_each_convolution_once() -> None:
    block = SharedResidualBlock(4, (1, 1), repeats=3, shared=False)
    calls = []
    for index, module in enumerate([*block.conv1, *block.conv2]):
        module.register_forward_hook(lambda *_, index=index: calls.append(index))
    block(torch.randn(2, 4, 6, 6))
    assert calls == [0, 3, 1, 4, 2, 5]


def test_shared_block_of_one_repeat_equals_a_plain_block() -> None:
    shared, plain = SharedResidualBlock(4, (3, 1), repeats=1), ResidualBlock(4, 4, (3, 1), BatchNorm)
    plain.conv1.load_state_dict(shared.conv1[0].state_dict())
    plain.conv2.load_state_dict(shared.conv2[0].state_dict())
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(shared(x), plain(x))


def test_residual_block_adds_its_input_if_channels_stay() -> None:
    x = torch.randn(2, 4, 6, 5)
    block = ResidualBlock(4, 4, (3, 1), BatchNorm)
    nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(x), x.relu())
    assert ResidualBlock(4, 8, (3, 1), BatchNorm)(x).shape == (2, 8, 6, 5)


def test_pools_are_means() -> None:
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(FrequencyMeanPool()(x), x.mean(2, keepdim=True))
    torch.testing.assert_close(GlobalMeanPool()(x), x.flatten(2).mean(2))


def test_to_channels_last_changes_memory_but_not_values() -> None:
    layer = nn.Conv2d(4, 4, 3)
    before = layer.weight.detach().clone()
    assert to_channels_last(layer) is layer
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize(
    "name", ["shared_resnet", "cp_resnet", "bc_resnet", "cp_mobile", "dcase2020_baseline", "dcase2021_baseline"]
)
def test_to_channels_last_includes_networks_of_one_channel(name: str) -> None:
    """The stem's weight is the same memory in both layouts, and only its strides tell PyTorch which one to use."""
    network = to_channels_last(create_model(name, num_classes=3, in_channels=1))
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    y = first(torch.zeros(2, 1, 40, 33))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert not y.is_contiguous()
