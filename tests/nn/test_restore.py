"""Networks from the arrays of a model file, and statistics of norms from data."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from helpers.traced_networks import ALL_NETWORKS, FEATURES, FRAMES, LABELS, WINDOW, random_network
from scenelet.errors import ModelFileError
from scenelet.model.file import decode_model, encode_model
from scenelet.nn.convert import to_scene_model
from scenelet.nn.restore import estimate_statistics, restore_weights
from scenelet.nn.standardize import StandardizedNetwork

NETWORKS = [
    *ALL_NETWORKS,
    {"name": "shared_resnet", "width": 8, "sub_bands": 4, "affine": "sub"},
    {"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES},
]


def windows(network: StandardizedNetwork, count: int = 6) -> torch.Tensor:
    noise = torch.randn(count, 2, 64, FRAMES, generator=torch.Generator().manual_seed(9))
    return noise * network.std[:, None] + network.mean[:, None]


def logits(network: StandardizedNetwork, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(x)


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_restored_network_has_the_same_logits_and_arrays(settings: dict[str, Any]) -> None:
    network, restored = random_network(1, **settings), random_network(2, **settings)
    x = windows(network)
    model = decode_model(encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32")), "m.scn")
    restore_weights(restored, model)
    expected = logits(network, x)
    assert (logits(restored, x) - expected).abs().max() <= 1e-5 * expected.std() + 1e-5
    again = to_scene_model(restored, LABELS, FEATURES, WINDOW, dtype="fp32")
    assert again.nodes == model.nodes
    for name, array in model.arrays.items():
        assert np.allclose(again.arrays[name], array, rtol=1e-6, atol=1e-6), name


@pytest.mark.parametrize(
    "settings", [{"name": "bc_resnet", "width": 8, "sub_bands": 2}, {"name": "cp_mobile", "width": 16}], ids=str
)
def test_arrays_of_a_file_in_fp16_are_restored_bit_for_bit(settings: dict[str, Any]) -> None:
    model = decode_model(encode_model(to_scene_model(random_network(1, **settings), LABELS, FEATURES, WINDOW)), "m.scn")
    restored = random_network(2, **settings)
    restore_weights(restored, model)
    again = decode_model(encode_model(to_scene_model(restored, LABELS, FEATURES, WINDOW)), "m.scn")
    names = [name for name in model.arrays if not name.startswith("standardize.")]
    assert len(names) > 20
    assert [name for name in names if not np.array_equal(again.arrays[name], model.arrays[name])] == []


@pytest.mark.parametrize("settings", NETWORKS, ids=str)
def test_estimated_statistics_keep_the_logits(settings: dict[str, Any]) -> None:
    network, restored = random_network(1, **settings), random_network(2, **settings)
    x = windows(network)
    restore_weights(restored, to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32"))
    estimate_statistics(restored, [x[:4], x[4:]])
    expected = logits(network, x)
    assert (logits(restored, x) - expected).abs().max() <= 1e-5 * expected.std() + 2e-5


@pytest.mark.parametrize(
    "settings",
    [{"name": "cp_resnet", "width": 8}, {"name": "shared_resnet", "width": 8, "affine": "sub"}],
    ids=str,
)
def test_estimated_statistics_are_those_of_the_batch_in_training(settings: dict[str, Any]) -> None:
    """In training, norms use the statistics of the batch. So the logits of all windows at once are the same."""
    network, restored = random_network(1, **settings), random_network(2, **settings)
    x = windows(network)
    restore_weights(restored, to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32"))
    with torch.no_grad():
        assert (restored.train()(x) - logits(network, x)).abs().max() > 0.01
    restore_weights(restored.eval(), to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32"))
    estimate_statistics(restored, [x[:4], x[4:]])
    with torch.no_grad():
        assert (restored.train()(x) - logits(network, x)).abs().max() < 1e-4


def test_scale_of_zero_is_restored() -> None:
    network, restored = random_network(1, width=8), random_network(2, width=8)
    with torch.no_grad():
        network.network.rb1.norm1.weight[2] = 0
        network.network.rb1.norm2.weight[:, 1] = 0
    model = to_scene_model(network, LABELS, FEATURES, WINDOW)
    model.arrays["rb2.norm2.scale"][0, 3] = 0  # of one sub-band of two that share a weight
    restore_weights(restored, model)
    again = to_scene_model(restored, LABELS, FEATURES, WINDOW)
    for name in ("rb1.norm1", "rb1.norm2", "rb2.norm2"):
        for part in ("scale", "shift"):
            assert np.allclose(again.arrays[f"{name}.{part}"], model.arrays[f"{name}.{part}"], atol=1e-6)
    assert bool(torch.isfinite(logits(restored, windows(network))).all())


def test_scales_of_two_signs_cannot_share_a_weight() -> None:
    model = to_scene_model(random_network(1, width=8), LABELS, FEATURES, WINDOW)
    model.arrays["rb2.norm2.scale"][0, 3] *= -1
    with pytest.raises(ModelFileError, match=r"no statistics give the scales of its norm rb2\.norm2"):
        restore_weights(random_network(2, width=8), model)


@pytest.mark.parametrize("settings", [{"width": 16}, {"width": 8, "repeats": 2}, {"name": "cp_resnet", "width": 8}])
def test_model_of_another_network_is_refused(settings: dict[str, Any]) -> None:
    model = to_scene_model(random_network(1, width=8), LABELS, FEATURES, WINDOW)
    with pytest.raises(ModelFileError, match="its layers are not those of the network that it names"):
        restore_weights(random_network(2, **settings), model)
    other = dataclasses.replace(model, nodes=model.nodes[:-1])
    with pytest.raises(ModelFileError, match="its layers are not those"):
        restore_weights(random_network(2, width=8), other)
