"""Parametrized weights: what readers of a layer see, gradients, and the way back to plain weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from scenelet.nn import create_model, prune
from scenelet.nn.quantize import quantize
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.stored_weights import add_stored_weights, prune_to, remove_stored_weights
from scenelet.nn.trace import trace


def small_network() -> StandardizedNetwork:
    network = create_model("cp_resnet", num_classes=2, width=4, generator=torch.Generator().manual_seed(0))
    return StandardizedNetwork(network, *torch.ones(2, 64)).eval()


@pytest.mark.parametrize(("dtype", "levels"), [("fp16", None), ("int8", 127), ("int4", 7)])
def test_stored_weights_are_seen_by_forward_and_export(dtype: str, levels: int | None) -> None:
    plain, stored = small_network(), small_network()
    prune.apply_masks(plain, prune.global_l1_masks(plain, 0.5))
    if levels:
        for layer in plain.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = quantize(layer.weight.data, levels)
    add_stored_weights(stored, dtype)
    prune_to(stored, 0.5)
    x = torch.randn(2, 2, 64, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(stored(x), plain(x))
    for name, array in trace(plain)[1].items():
        assert (trace(stored)[1][name] == array).all()


def test_remove_stored_weights_leaves_pruned_unrounded_weights() -> None:
    before, network = small_network(), small_network()
    add_stored_weights(network, "int4")
    prune_to(network, 0.6)
    masks = remove_stored_weights(network)
    assert masks.keys() == prune.convolution_weights(before).keys()
    assert not any(parametrize.is_parametrized(module) for module in network.modules())
    assert network.state_dict().keys() == before.state_dict().keys()
    for name, mask in masks.items():
        assert torch.equal(network.get_parameter(name), before.get_parameter(name) * mask)
        assert torch.equal(mask, prune.global_l1_masks(before, 0.6)[name])


def test_prune_to_keeps_pruned_weights_although_their_originals_grow() -> None:
    network = small_network()
    add_stored_weights(network, "fp16")
    prune_to(network, 0.3)
    first = {name: weight == 0 for name, weight in prune.convolution_weights(network).items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[parameter.abs() < 0.1] = 5.0
    for sparsity in (0.3, 0.6):
        prune_to(network, sparsity)
        weights = prune.convolution_weights(network)
        assert all(bool((weights[name][pruned] == 0).all()) for name, pruned in first.items())
        zeros = sum(int((weight == 0).sum()) for weight in weights.values())
        assert zeros == round(sparsity * sum(weight.numel() for weight in weights.values()))


def test_pruned_weights_get_no_gradient() -> None:
    network = small_network().train()
    add_stored_weights(network, "int8")
    prune_to(network, 0.5)
    with parametrize.cached():
        network(torch.randn(2, 2, 64, 40, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            original, mask = layer.parametrizations.weight.original, layer.parametrizations.weight[0].mask
            assert bool((original.grad[~mask] == 0).all())
            assert bool(original.grad.any())


def test_masks_are_buffers_that_move_and_are_copied() -> None:
    network = small_network()
    add_stored_weights(network, "fp16")
    prune_to(network, 0.5)
    other = small_network()
    add_stored_weights(other, "fp16")
    other.load_state_dict(copy.deepcopy(network).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), other.buffers(), strict=True))
    network.to("meta")
    masks = [buffer for name, buffer in network.named_buffers() if name.endswith("mask")]
    assert masks
    assert {mask.device.type for mask in masks} == {"meta"}
