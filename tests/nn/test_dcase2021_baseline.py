"""The DCASE 2021 and 2022 baseline: size, shapes, costs and initial weights, compared with the published figures."""

import pytest
import torch

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import UsageError
from scenelet.model.costs import layer_macs
from scenelet.model.ops import Conv
from scenelet.model.rules import RULES, apply_rule
from scenelet.model.scene_model import SceneModel
from scenelet.nn import create_model
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork


def baseline(seconds: float) -> SceneModel:
    """Return the baseline with its features, for a clip of this many seconds."""
    features = FeatureConfig(
        sample_rate=44100, channels="mono", n_fft=2048, win_length=1764, hop_length=882, n_mels=40, power=1
    )
    frames = features.n_frames(round(seconds * 44100))
    generator = torch.Generator().manual_seed(0)  # draws no weight of zero
    network = create_model("dcase2021_baseline", num_classes=10, frames=frames, generator=generator).eval()
    standardized = StandardizedNetwork(network, torch.zeros(40), torch.ones(40))
    return to_scene_model(standardized, tuple("abcdefghij"), features, WindowConfig(seconds=seconds))


@pytest.mark.parametrize("frames", [500, 501, 51])
def test_baseline_has_the_published_parameters(frames: int) -> None:
    network = create_model("dcase2021_baseline", num_classes=10, frames=frames)
    layers = {name: sum(p.numel() for p in layer.parameters()) for name, layer in network.named_children()}
    assert {name: count for name, count in layers.items() if count} == {
        "conv1": 800,
        "norm1": 32,
        "conv2": 12_560,
        "norm2": 32,
        "conv3": 25_120,
        "norm3": 64,
        "dense": 6_500,
        "out": 1_010,
    }
    assert sum(layers.values()) == 46_118
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert sum(layers.values()) + statistics == 46_246  # Keras's total


def test_baseline_has_the_published_multiply_accumulates_of_2022() -> None:
    model = baseline(1)
    assert model.input_shape == (1, 40, 51)
    costs = layer_macs(model.nodes, model.array_shapes, model.input_shape)
    convolutions = [cost for node, cost in zip(model.nodes, costs, strict=True) if isinstance(node, Conv)]
    assert convolutions == [1_599_360, 25_589_760, 2_007_040]
    found = apply_rule(RULES["dcase2022"], model, 0)
    assert (found.bytes, found.excesses) == (46_118, ())
    positions = 40 * 51
    assert found.macs == 800 * positions + 12_560 * positions + 25_120 * 8 * 10 + 128 + 6_500 + 1_010


def test_baseline_in_fp16_is_within_the_limit_of_2021() -> None:
    """The published 93,004 bytes have 256 numbers of batch norm in fp32, 128 of which are statistics."""
    found = apply_rule(RULES["dcase2021"], baseline(10), 0)
    assert (found.bytes, found.excesses) == (2 * 46_118, ())
    statistics = norms = 128
    assert 2 * (46_118 - norms) + 4 * (norms + statistics) == 93_004


@pytest.mark.parametrize(("n_mels", "frames", "hidden"), [(40, 500, 64), (40, 51, 64), (80, 1001, 256)])
def test_baseline_shapes(n_mels: int, frames: int, hidden: int) -> None:
    network = create_model("dcase2021_baseline", num_classes=4, n_mels=n_mels, frames=frames).eval()
    assert network.dense.in_features == hidden
    assert network(torch.zeros(2, 1, n_mels, frames)).shape == (2, 4)


def test_baseline_refuses_too_small_inputs() -> None:
    for n_mels, frames in ((19, 501), (40, 4)):
        with pytest.raises(UsageError, match="at least 20 mel bands and 5 frames"):
            create_model("dcase2021_baseline", num_classes=3, n_mels=n_mels, frames=frames)


def test_baseline_draws_initial_weights_like_keras() -> None:
    network, again = (
        create_model("dcase2021_baseline", num_classes=3, generator=torch.Generator().manual_seed(0)) for _ in range(2)
    )
    assert torch.equal(network.conv3.weight, again.conv3.weight)
    bound = (6 / (49 * 16 + 49 * 32)) ** 0.5
    assert 0.99 * bound < network.conv3.weight.abs().max() <= bound
    assert 0.049 < network.dense.weight.abs().max() <= 0.05
    assert not network.conv1.bias.any()
    assert (network.norm1.eps, network.norm3.momentum) == (1e-3, 0.01)  # Keras's
