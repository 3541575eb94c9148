"""Multiply-accumulates of every network, compared with those of torchinfo."""

from typing import Any

import numpy as np
import pytest
import torch
import torchinfo

from helpers.tiny_model import changed
from helpers.traced_networks import ALL_NETWORKS, FEATURES, FRAMES, LABELS, WINDOW, random_network
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.config.recipes import load_recipe
from scenelet.model.costs import macs, torchinfo_macs
from scenelet.model.file import decode_model, encode_model
from scenelet.model.ops import ScaleShift
from scenelet.model.rules import RULES, apply_rule
from scenelet.model.scene_model import SceneModel
from scenelet.model.temperature import scale_logits
from scenelet.nn import create_model, fused
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import round_network
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.network import build_network

NETWORKS = [
    *ALL_NETWORKS,
    {"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES},
    {"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES, "members": 2},
    {"name": "shared_resnet", "width": 8, "sub_bands": 4, "affine": "sub"},
    {"name": "shared_resnet", "width": 8, "shared": False, "repeats": 2},
    {"name": "shared_resnet", "width": 1, "members": 2},  # norms of one channel, beside the mean over members
]
LETTERS = tuple("abcdefghij")


@pytest.fixture(autouse=True)
def _separate_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the layers one by one: torchinfo does not see those that the functions of `fused` compute."""
    monkeypatch.setattr(fused, "supports", lambda *_: False)


def summary(network: torch.nn.Module, model: SceneModel) -> tuple[int, int]:
    found = torchinfo.summary(network, input_size=(1, *model.input_shape), verbose=0)
    return found.total_mult_adds, found.total_params


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_torchinfo_macs_equal_torchinfo(settings: dict[str, Any]) -> None:
    network = random_network(1, **settings)
    model = to_scene_model(network, LABELS, FEATURES, WINDOW)
    expected = summary(network, model)
    assert (torchinfo_macs(model), model.counts.parameters) == expected
    assert torchinfo_macs(decode_model(encode_model(model), "m.scn")) == expected[0]
    assert macs(model.nodes, model.array_shapes, model.input_shape) < expected[0]


def test_torchinfo_macs_ignore_pruning_and_temperature() -> None:
    network = random_network(1)
    model = to_scene_model(network, LABELS, FEATURES, WINDOW)
    pruned = {name: np.zeros_like(array) for name, array in model.arrays.items() if name.endswith(".weight")}
    assert torchinfo_macs(changed(model, arrays=model.arrays | pruned)) == torchinfo_macs(model)
    scaled = scale_logits(model, 2.0)
    assert sum(isinstance(node, ScaleShift) for node in scaled.nodes) > sum(
        isinstance(node, ScaleShift) for node in model.nodes
    )
    assert torchinfo_macs(scaled) == torchinfo_macs(model)


def test_torchinfo_macs_count_each_call_of_a_shared_norm() -> None:
    """The parameters of a layer that is called twice count once, and its multiply-accumulates twice."""
    network = random_network(1, "cp_mobile", width=16)
    shared = network.network.stem[1]
    network.network.stem = torch.nn.Sequential(network.network.stem[0], shared, shared, *network.network.stem[2:])
    model = to_scene_model(network, LABELS, FEATURES, WINDOW)
    assert (torchinfo_macs(model), model.counts.parameters) == summary(network, model)


def test_cp_mobile_has_the_published_costs() -> None:
    """The figures are those of the baselines of DCASE 2024 and 2025."""
    features = FeatureConfig(
        sample_rate=32000, channels="mono", n_fft=4096, win_length=3072, hop_length=500, n_mels=256
    )
    network = StandardizedNetwork(create_model("cp_mobile", num_classes=10), torch.zeros(256), torch.ones(256)).eval()
    model = to_scene_model(network, LETTERS, features, WindowConfig(seconds=1))
    assert model.input_shape == (1, 256, 65)
    assert summary(network, model) == (29_419_156, 61_148)
    for year in (2023, 2024, 2025):
        found = apply_rule(RULES[f"dcase{year}"], model, 0)
        assert (found.bytes, found.macs, found.excesses) == (122_296, 29_419_156, ())
    assert apply_rule(RULES["dcase2022"], model, 0).bytes == 61_148


def test_recipe_low_complexity_is_within_the_limits() -> None:
    """The clip of 1 s counts as a whole window of 5 s."""
    config = load_recipe("low_complexity")
    bands = config.features.n_mels
    network = build_network(config, 10, torch.zeros(bands), torch.ones(bands)).eval()
    round_network(network, "int8")
    model = to_scene_model(network, LETTERS, config.features, config.window, dtype="int8")
    found = apply_rule(RULES["dcase2024"], model, 0)
    assert (found.macs, found.excesses) == (summary(network, model)[0], ())
