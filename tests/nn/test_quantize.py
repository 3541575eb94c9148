"""Quantization: the grid, its error, and equivalence of the model file."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.inference.classifier import Classifier
from scenelet.model.encodings import to_int8
from scenelet.model.file import read_model, write_model
from scenelet.model.sizes import sizes
from scenelet.nn import create_model
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import LEVELS, quantize, round_network
from scenelet.nn.standardize import StandardizedNetwork

WEIGHTS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 6)),
    elements=st.floats(-8, 8, width=32).map(lambda x: 0.0 if abs(x) < 1e-6 else x),
)


@given(WEIGHTS, st.sampled_from(sorted(LEVELS.values())))
def test_quantize_gives_integers_times_a_power_of_two(array: np.ndarray, levels: int) -> None:
    rounded = quantize(torch.from_numpy(array), levels).numpy()
    values, exponents = to_int8("w", rounded)
    np.testing.assert_array_equal(np.ldexp(values.astype(np.float32), exponents[:, None]), rounded)
    assert np.abs(values).max() <= levels
    assert ((rounded == 0) | (np.sign(rounded) == np.sign(array))).all()
    assert (rounded[array == 0] == 0).all()  # pruned weights stay zero


@given(WEIGHTS, st.sampled_from(sorted(LEVELS.values())))
def test_quantize_is_at_least_as_close_as_any_exact_step(array: np.ndarray, levels: int) -> None:
    rounded = quantize(torch.from_numpy(array), levels).numpy()
    for row, found in zip(array.astype(np.float64), rounded.astype(np.float64), strict=True):
        error = np.square(found - row).sum()
        for exponent in range(-26, 6):
            step = 2.0**exponent
            if np.abs(row).max() / step <= levels:
                other = np.square(np.round(row / step) * step - row).sum()
                assert error <= other * (1 + 1e-5) + 1e-12


@given(WEIGHTS, st.sampled_from(sorted(LEVELS.values())))
def test_quantize_is_idempotent(array: np.ndarray, levels: int) -> None:
    once = quantize(torch.from_numpy(array), levels)
    assert torch.equal(quantize(once, levels), once)


def test_quantize_to_int8_has_a_bounded_error() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    error = (quantize(weight, 127) - weight).abs().amax(1)
    assert (error <= weight.abs().amax(1) / 127).all()  # a power of two is at most twice the finest step
    assert (quantize(weight, 7) - weight).abs().max() > 4 * error.max()


def test_quantize_clips_a_large_weight_if_that_is_closer() -> None:
    many = torch.full((1, 400), 0.5)
    many[0, 0] = 4.4
    assert float(quantize(many, 7)[0, 0]) == 3.5
    assert float(quantize(torch.tensor([[1.0, 4.4]]), 7)[0, 1]) == 4.0


def test_round_network_changes_integer_formats_only() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2))
    before = copy.deepcopy(network.state_dict())
    round_network(network, "fp16")
    round_network(network, "fp32")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    round_network(network, "int8")
    assert not torch.equal(network[0].weight, before["0.weight"])
    assert not torch.equal(network[1].weight, before["1.weight"])
    assert torch.equal(network[0].bias, before["0.bias"].half().float())  # as a file stores it
    assert not torch.equal(network[0].bias, before["0.bias"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("shared_resnet", {"width": 8}),
        ("bc_resnet", {"width": 8, "sub_bands": 2, "residual_norm": True}),
        ("cp_mobile", {"width": 8}),
    ],
)
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_round_network_computes_what_its_file_computes(name: str, settings: dict, dtype: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    inner = create_model(name, num_classes=3, in_channels=2, generator=generator, **settings)
    for module in inner.modules():
        if hasattr(module, "running_var"):  # random, so confused norms make a difference
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
        if isinstance(module, nn.Linear):
            module.bias.data.normal_(0, 0.3, generator=generator)
    network = StandardizedNetwork(inner, torch.zeros(64), torch.ones(64)).eval()
    x = torch.randn(4, 2, 64, 33, generator=generator)
    *_, last = (module for module in inner.modules() if hasattr(module, "weight"))
    with torch.no_grad():
        last.weight.mul_(3 / network(x).abs().max())
    round_network(network, dtype)
    features = FeatureConfig(sample_rate=8000, n_mels=64, n_fft=512, hop_length=250)
    window = WindowConfig(seconds=1.0)
    model = to_scene_model(network, ("a", "b", "c"), features, window, None, dtype)
    layers = {id(m.weight) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    bytes_of_each = (p.numel() * (1 if id(p) in layers else 2) for p in network.parameters())
    assert sizes(model, 0)["dcase2024"] == sum(bytes_of_each)
    path = tmp_path / "m.scn"
    write_model(model, path)
    stored = read_model(path)
    for key, array in model.arrays.items():
        if model.encodings[key] == "masked_int8":
            np.testing.assert_array_equal(stored.arrays[key], array)
    with torch.no_grad():
        expected = network(x).softmax(1).numpy()
    assert expected.max() < 0.99  # a probability of 1 would hide differences
    found = Classifier(stored).probabilities(x.numpy())
    np.testing.assert_allclose(found, expected, atol=5e-6)
    assert (found.argmax(1) == expected.argmax(1)).all()
