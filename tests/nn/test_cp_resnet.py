"""CP-ResNet: exact parameter counts, kernels, shapes and initial weights."""

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn import create_model


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"num_classes": 10}, 898_580),
        ({"num_classes": 3}, 896_774),
        ({"num_classes": 10, "rho": 4}, 898_580 - 8 * 64 * 64),
        ({"num_classes": 10, "rho": 6}, 931_348),  # as many as an unshared shared_resnet
        ({"num_classes": 10, "rho": 7}, 931_348 + 8 * 64 * 128),
    ],
)
def test_cp_resnet_has_the_papers_parameter_counts(settings: dict[str, int], count: int) -> None:
    assert sum(p.numel() for p in create_model("cp_resnet", **settings).parameters()) == count


def test_cp_resnet_kernels_of_rho_5() -> None:
    network = create_model("cp_resnet", num_classes=3)
    pairs = [(block.conv1.kernel_size[0], block.conv2.kernel_size[0]) for block in network.blocks]
    assert pairs == [(3, 1), (3, 3), (3, 3), (3, 1)] + [(1, 1)] * 8


def test_cp_resnet_shapes_of_all_blocks() -> None:
    network, seen = create_model("cp_resnet", num_classes=3, width=4), []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[1:])))
    assert network(torch.randn(2, 2, 256, 64)).shape == (2, 3)
    assert seen[:5] == [(4, 127, 31), (4, 63, 15), (4, 31, 7), (4, 31, 7), (4, 15, 3)]
    assert seen[8] == (8, 15, 3)


def test_cp_resnet_with_zero_residual_weights() -> None:
    network = create_model("cp_resnet", num_classes=3, init="zero_residual")
    assert not any(block.conv2.weight.any() for block in network.blocks)
    assert not network.head[0].weight.any()
    assert all(m.weight.any() for n, m in network.named_modules() if isinstance(m, nn.Conv2d) and "conv1" in n)


@pytest.mark.parametrize("rho", [3, 8])
def test_cp_resnet_refuses_rho_out_of_range(rho: int) -> None:
    with pytest.raises(UsageError, match="4 to 7"):
        create_model("cp_resnet", num_classes=3, rho=rho)
