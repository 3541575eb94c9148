"""Global L1 pruning against PyTorch's own, the counts of the paper, and the byte budget."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as reference

from scenelet.errors import UsageError
from scenelet.nn import create_model, prune
from scenelet.nn.convert import training_counts


@pytest.fixture
def network() -> nn.Module:
    return create_model("shared_resnet", num_classes=3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sparsity", [0.3, 0.6, 0.9])
def test_equals_global_unstructured(sparsity: float) -> None:
    ours = create_model("shared_resnet", num_classes=3, width=8, generator=torch.Generator().manual_seed(0))
    theirs = copy.deepcopy(ours)
    prune.apply_masks(ours, prune.global_l1_masks(ours, sparsity))
    layers = [(module, "weight") for module in theirs.modules() if isinstance(module, nn.Conv2d)]
    reference.global_unstructured(layers, pruning_method=reference.L1Unstructured, amount=sparsity)
    expected = {f"{name}.weight": m.weight for name, m in theirs.named_modules() if isinstance(m, nn.Conv2d)}
    for name, weight in prune.convolution_weights(ours).items():
        assert torch.equal(weight, expected[name])


def test_sixty_percent_keeps_what_the_paper_keeps(network: nn.Module) -> None:
    counts = training_counts(network, prune.global_l1_masks(network, 0.6))
    assert (counts.conv, counts.conv_kept) == (593_792, 237_517)
    assert counts.conv_kept + counts.batch_norm + counts.sub_spectral_norm == 245_587


def test_kept_counts_the_mask_not_the_values(network: nn.Module) -> None:
    masks = prune.global_l1_masks(network, 0.6)
    with torch.no_grad():
        network.head[0].weight.zero_()
    assert training_counts(network, masks).conv_kept == 237_517
    assert training_counts(network).conv_kept == 593_792


def test_pruned_weights_are_the_smallest(network: nn.Module) -> None:
    masks = prune.global_l1_masks(network, 0.6)
    weights = prune.convolution_weights(network)
    kept = torch.cat([weights[name][mask.bool()].detach().abs() for name, mask in masks.items()])
    lost = torch.cat([weights[name][~mask.bool()].detach().abs() for name, mask in masks.items()])
    assert kept.min() >= lost.max()


def test_a_layer_pruned_nearly_away_is_named(network: nn.Module) -> None:
    with torch.no_grad():
        network.rb3.conv2.weight.mul_(1e-6)
    assert list(prune.nearly_empty_layers(prune.global_l1_masks(network, 0.6))) == ["rb3.conv2"]


@pytest.mark.parametrize("max_bytes", [200, 500, 999, 5000])
def test_budget_finds_the_least_sparsity_that_fits(max_bytes: int) -> None:
    def size(sparsity: float) -> int:
        return int(100 + 1000 * (1 - sparsity))

    sparsity = prune.sparsity_for_bytes(size, max_bytes)
    assert size(sparsity) <= max_bytes
    assert sparsity == 0 or size(sparsity - 0.001) > max_bytes


def test_a_budget_out_of_reach_says_what_is_in_reach() -> None:
    with pytest.raises(UsageError, match="the file takes 700 bytes"):
        prune.sparsity_for_bytes(lambda _: 700, 500)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 60])
def test_sparsity_is_a_share(network: nn.Module, sparsity: float) -> None:
    with pytest.raises(UsageError, match="sparsity"):
        prune.global_l1_masks(network, sparsity)
