"""Initial weights of the residual networks."""

import pytest
import torch
from torch import nn

from scenelet.nn import create_model


def network(init: str, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return create_model("cp_resnet", num_classes=2, in_channels=1, width=16, init=init, generator=generator)


def convolutions(init: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return the weights of the convolutions by the names of their layers."""
    modules = network(init, seed).named_modules()
    return {name: module.weight.detach() for name, module in modules if isinstance(module, nn.Conv2d)}


@pytest.mark.parametrize("init", ["kaiming", "zero_residual"])
def test_initialize_same_seed_gives_the_same_weights(init: str) -> None:
    first, second, other = convolutions(init), convolutions(init), convolutions(init, seed=1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_initialize_kaiming_has_variance_2_over_fan_in() -> None:
    for name, weight in convolutions("kaiming").items():
        fan_in = weight[0].numel()
        if weight.numel() > 1000:
            assert float(weight.std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.1), name


def test_initialize_zero_residual_starts_blocks_at_zero() -> None:
    weights = convolutions("zero_residual")
    zero = {name for name, weight in weights.items() if not weight.any()}
    assert zero == {name for name in weights if ".conv2" in name or name == "head.0"}
    assert len(zero) > 1
