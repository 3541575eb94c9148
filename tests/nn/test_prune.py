"""Global L1 pruning compared with PyTorch's own, and the search of a sparsity."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as reference

from scenelet.errors import UsageError
from scenelet.nn import create_model, prune


@pytest.fixture
def network() -> nn.Module:
    return create_model("shared_resnet", num_classes=3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sparsity", [0.3, 0.6, 0.9])
def test_global_l1_masks_equal_global_unstructured(sparsity: float) -> None:
    ours = create_model("shared_resnet", num_classes=3, width=8, generator=torch.Generator().manual_seed(0))
    theirs = copy.deepcopy(ours)
    prune.apply_masks(ours, prune.global_l1_masks(ours, sparsity))
    layers = [(module, "weight") for module in theirs.modules() if isinstance(module, nn.Conv2d)]
    reference.global_unstructured(layers, pruning_method=reference.L1Unstructured, amount=sparsity)
    expected = {f"{name}.weight": m.weight for name, m in theirs.named_modules() if isinstance(m, nn.Conv2d)}
    for name, weight in prune.convolution_weights(ours).items():
        assert torch.equal(weight, expected[name])


def test_global_l1_masks_prune_the_smallest_weights(network: nn.Module) -> None:
    masks = prune.global_l1_masks(network, 0.6)
    weights = prune.convolution_weights(network)
    kept = torch.cat([weights[name][mask.bool()].detach().abs() for name, mask in masks.items()])
    pruned = torch.cat([weights[name][~mask.bool()].detach().abs() for name, mask in masks.items()])
    assert kept.min() >= pruned.max()


def test_nearly_empty_layers_names_the_layer(network: nn.Module) -> None:
    with torch.no_grad():
        network.rb3.conv2.weight.mul_(1e-6)
    assert list(prune.nearly_empty_layers(prune.global_l1_masks(network, 0.6))) == ["rb3.conv2"]


@pytest.mark.parametrize("max_bytes", [200, 500, 999, 5000])
def test_sparsity_for_bytes_is_the_smallest_that_fits(max_bytes: int) -> None:
    def size(sparsity: float) -> int:
        return int(100 + 1000 * (1 - sparsity))

    sparsity = prune.sparsity_for_bytes(size, max_bytes)
    assert size(sparsity) <= max_bytes
    assert sparsity == 0 or size(sparsity - 0.001) > max_bytes


def test_sparsity_for_bytes_out_of_reach_names_the_minimum() -> None:
    with pytest.raises(UsageError, match=r"500 bytes are out of reach: .* the file takes 700 bytes"):
        prune.sparsity_for_bytes(lambda _: 700, 500)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 60])
def test_global_l1_masks_refuse_a_sparsity_out_of_range(network: nn.Module, sparsity: float) -> None:
    with pytest.raises(UsageError, match="sparsity"):
        prune.global_l1_masks(network, sparsity)
