"""Conversion of a network to a model: encodings, counts and sizes."""

import copy

import pytest
import torch
from torch import nn

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.file import encode_model
from scenelet.model.sizes import sizes
from scenelet.nn import create_model, prune
from scenelet.nn.convert import to_scene_model, training_counts
from scenelet.nn.standardize import StandardizedNetwork


@pytest.fixture
def network() -> nn.Module:
    return create_model("shared_resnet", num_classes=3, generator=torch.Generator().manual_seed(0))


def test_training_counts_of_60_percent_equal_the_papers(network: nn.Module) -> None:
    counts = training_counts(network, prune.global_l1_masks(network, 0.6))
    assert (counts.conv, counts.conv_kept) == (593_792, 237_517)
    assert counts.conv_kept + counts.batch_norm + counts.sub_spectral_norm == 245_587


def test_training_counts_follow_the_mask_not_the_values(network: nn.Module) -> None:
    masks = prune.global_l1_masks(network, 0.6)
    with torch.no_grad():
        network.head[0].weight.zero_()
    assert training_counts(network, masks).conv_kept == 237_517
    assert training_counts(network).conv_kept == 593_792


def test_to_scene_model_has_the_papers_sizes() -> None:
    network = StandardizedNetwork(
        create_model("shared_resnet", num_classes=3), torch.zeros(256), torch.ones(256)
    ).eval()
    masks = prune.global_l1_masks(network, 0.6)
    pruned = copy.deepcopy(network)
    prune.apply_masks(pruned, masks)
    model = to_scene_model(pruned, ("a", "b", "c"), FeatureConfig(), WindowConfig(), masks)
    data = encode_model(model)
    found = sizes(model, len(data))
    assert found["paper"] == found["dcase2021"] == 491_174
    assert round(found["dcase2020"] / 1024, 2) == 463.90
    assert round(found["dcase2020_with_ssn"] / 1024, 2) == 466.40
    assert found["dcase2024"] == 2 * 601_862
    assert found["disk"] == len(data) <= 500_000


@pytest.mark.parametrize(
    ("dtype", "weights", "norms"),
    [("fp16", "masked_fp16", "fp16"), ("int8", "masked_int8", "fp16"), ("fp32", "fp32", "fp32")],
)
def test_to_scene_model_chooses_encodings_by_dtype(dtype: str, weights: str, norms: str) -> None:
    network = StandardizedNetwork(create_model("cp_resnet", num_classes=2, width=4), *torch.ones(2, 256)).eval()
    encodings = to_scene_model(network, ("a", "b"), FeatureConfig(), WindowConfig(), dtype=dtype).encodings
    assert encodings["stem.0.weight"] == weights
    assert encodings["stem.1.scale"] == norms
    assert encodings["standardize.scale"] == "fp32"
