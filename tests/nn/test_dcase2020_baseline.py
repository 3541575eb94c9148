"""The DCASE 2020 baseline: size, shapes, initial weights, and equivalence of its file."""

import numpy as np
import pytest
import torch

from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.inference.classifier import Classifier
from scenelet.model.file import decode_model, encode_model
from scenelet.model.sizes import sizes
from scenelet.nn import create_model, list_models
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.network import build_network


def test_baseline_has_the_published_parameter_count() -> None:
    network = create_model("dcase2020_baseline", num_classes=3)
    assert sum(p.numel() for p in network.parameters()) == 115_411
    without = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("norm"))
    assert without == 115_219
    assert "dcase2020_baseline" in list_models()


def test_baseline_has_the_published_size() -> None:
    config = load_recipe("dcase2020_baseline")
    network = build_network(config, 3, torch.zeros(40), torch.ones(40)).eval()
    model = to_scene_model(
        network, ("indoor", "outdoor", "transportation"), config.features, config.window, dtype="fp32"
    )
    size = sizes(decode_model(encode_model(model), "it"), 0)
    assert size["dcase2020"] == 4 * 115_219
    assert f"{size['dcase2020'] / 1024:.1f}" == "450.1"  # KiB, as the challenge prints
    assert model.counts.parameters == 115_411


@pytest.mark.parametrize(
    ("n_mels", "frames", "hidden"), [(40, 501, 128), (40, 500, 128), (40, 251, 128), (80, 1001, 512)]
)
def test_baseline_shapes(n_mels: int, frames: int, hidden: int) -> None:
    network = create_model("dcase2020_baseline", num_classes=4, n_mels=n_mels, frames=frames).eval()
    assert network.dense.in_features == hidden
    assert network(torch.zeros(2, 1, n_mels, frames)).shape == (2, 4)


def test_baseline_refuses_too_small_inputs() -> None:
    for n_mels, frames in ((19, 501), (40, 4)):
        with pytest.raises(UsageError, match="at least 20 mel bands and 5 frames"):
            create_model("dcase2020_baseline", num_classes=3, n_mels=n_mels, frames=frames)


def test_baseline_draws_initial_weights_like_keras() -> None:
    network = create_model("dcase2020_baseline", num_classes=3, generator=torch.Generator().manual_seed(0))
    again = create_model("dcase2020_baseline", num_classes=3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.conv2.weight, again.conv2.weight)
    bound = (6 / (49 * 32 + 49 * 64)) ** 0.5
    assert 0.99 * bound < network.conv2.weight.abs().max() <= bound
    assert 0.049 < network.dense.weight.abs().max() <= 0.05
    assert not network.conv1.bias.any()
    assert (network.norm1.eps, network.norm2.momentum) == (1e-3, 0.01)  # Keras's


@pytest.mark.parametrize("frames", [501, 113])
def test_baseline_file_computes_what_the_network_computes(frames: int) -> None:
    torch.manual_seed(1)
    config = load_recipe("dcase2020_baseline", [f"window.seconds={(frames - 1) * 960 / 48000}"])
    inner = create_model("dcase2020_baseline", num_classes=3, frames=frames)
    for module in inner.modules():  # in a fresh network all norms are equal, which hides confusions
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.3)
    network = StandardizedNetwork(inner, torch.linspace(-50, -30, 40), torch.linspace(8, 12, 40)).eval()
    model = to_scene_model(network, ("a", "b", "c"), config.features, config.window, dtype="fp32")
    x = torch.randn(4, 1, 40, frames) * torch.tensor([1.0, 5.0, 10.0, 30.0]).view(4, 1, 1, 1) - 40
    with torch.no_grad():
        expected = network(x).softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 0.001
    found = Classifier(decode_model(encode_model(model), "it")).probabilities(x.numpy())
    assert np.abs(found - expected).max() < 1e-5
