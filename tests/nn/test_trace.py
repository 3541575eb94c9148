"""The PyTorch network and its model file compute the same, with statistics and affines that differ everywhere."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.feature_cache import ClipFeatures, band_statistics, load_features
from scenelet.data.load import load_table
from scenelet.inference.classifier import Classifier
from scenelet.inference.runtimes import make_session
from scenelet.model import file as modelfile
from scenelet.model.costs import macs
from scenelet.model.ops import shapes
from scenelet.model.sizes import sizes
from scenelet.nn import create_model, prune
from scenelet.nn.convert import to_scene_model
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace
from scenelet.training.batches import clip_probabilities, mean_over_windows

FEATURES = FeatureConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=64)
WINDOW = WindowConfig(seconds=2.0)
FRAMES = FEATURES.n_frames(16000)
LABELS = ("a", "b", "c")


def random_network(seed: int = 0, name: str = "shared_resnet", **settings: object) -> StandardizedNetwork:
    """Every norm has its own statistics and affine, so that an exporter that mixes them up is seen."""
    generator = torch.Generator().manual_seed(seed)
    defaults = {"num_classes": 3, "in_channels": 2}
    network = create_model(name, generator=generator, **(defaults | settings))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | SubSpectralNorm)]
    for norm in norms:
        norm.momentum = 1.0  # one pass over noise sets the statistics near what they see
    channels = network.stem[0].in_channels
    network.train()(torch.randn(8, channels, 64, FRAMES, generator=generator))
    for norm in norms:
        with torch.no_grad():
            norm.weight.uniform_(0.5, 1.2, generator=generator)
            norm.bias.uniform_(-0.3, 0.3, generator=generator)
            norm.running_mean.add_(
                norm.running_var.sqrt() * torch.randn(norm.running_mean.shape, generator=generator) / 5
            )
            norm.running_var.mul_(torch.rand(norm.running_var.shape, generator=generator) + 0.5)
    for dense in network.modules():
        if isinstance(dense, nn.Linear):
            nn.init.normal_(dense.weight, generator=generator)
    mean = torch.randn(64, generator=generator) * 10 - 40
    deviation = torch.rand(64, generator=generator) * 10 + 5
    return StandardizedNetwork(network, mean, deviation).eval()


def log_mel(network: StandardizedNetwork, count: int) -> np.ndarray:
    """Noise with a spectrum of its own for each clip."""
    generator = torch.Generator().manual_seed(9)
    noise = torch.randn(count, 2, 64, FRAMES, generator=generator) + torch.randn(count, 1, 64, 1, generator=generator)
    return (noise * network.std[:, None] + network.mean[:, None]).numpy()


@pytest.fixture(scope="module")
def fold_1() -> ClipFeatures:
    """Features of ESC-10's first fold: 80 real clips."""
    folder = os.environ.get("SCENELET_ESC10")
    if not folder:
        pytest.skip("SCENELET_ESC10 is not set: no real recordings to test with")
    table = load_table(Path(folder))
    recipe = load_recipe("paper_short")
    clips = [clip for clip in table.clips if clip.fold == "1"]
    return load_features(clips, table.root, recipe.features, recipe.window)


@pytest.mark.parametrize("sub_bands", [1, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_probabilities_agree_on_every_real_clip(fold_1: ClipFeatures, sub_bands: int, shared: bool) -> None:
    """Largest difference over 80 clips: 1e-5 with the same weights, 2e-3 with fp16 ones; never another label."""
    recipe = load_recipe("paper_short")
    network = random_network(width=64, sub_bands=sub_bands, shared=shared, in_channels=1, num_classes=10)
    mean, deviation = band_statistics(fold_1)
    network = StandardizedNetwork(network.network, torch.from_numpy(mean), torch.from_numpy(deviation)).eval()
    labels = tuple("abcdefghij")
    theirs = clip_probabilities(network, fold_1)
    assert len(theirs) == 80
    for dtype, tolerance in (("fp32", 1e-5), ("fp16", 2e-3)):
        model = to_scene_model(network, labels, recipe.features, recipe.window, dtype=dtype)
        classifier = Classifier(modelfile.decode_model(modelfile.encode_model(model), "m.scn"))
        windows = classifier.probabilities(fold_1.load(fold_1.rows()))
        ours = mean_over_windows(windows, fold_1.count)
        assert np.abs(ours - theirs).max() <= tolerance
        assert np.array_equal(ours.argmax(1), theirs.argmax(1))


def torch_probabilities(network: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(x)).softmax(1).numpy()


VARIANTS = [
    {"width": width, "sub_bands": sub_bands, "shared": shared, "affine": affine}
    for width, sub_bands, shared, affine in [
        (64, 2, True, "all"),
        (16, 1, True, "all"),
        (16, 2, False, "all"),
        (16, 1, False, "sub"),
        (16, 4, True, "sub"),
    ]
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
def test_probabilities_agree(settings: dict[str, object], dtype: str, tolerance: float, tmp_path: Path) -> None:
    network = random_network(**settings)
    x = log_mel(network, 6)
    modelfile.write_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype), tmp_path / "m.scn")
    ours = Classifier(modelfile.read_model(tmp_path / "m.scn")).probabilities(x)
    theirs = torch_probabilities(network, x)
    assert theirs.std(axis=0).max() > 0.01  # the clips are told apart at all
    assert np.abs(ours - theirs).max() <= tolerance
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


@pytest.mark.parametrize(
    "settings", [{"width": 8, "sub_bands": 4}, {"width": 12, "sub_bands": 2, "blocks": 1}], ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
def test_probabilities_of_bc_resnet_agree(settings: dict[str, object], dtype: str, tolerance: float) -> None:
    """Norms with an affine for each sub-band, rows of time, dilated kernels, SiLU; and dropout that is left out."""
    network = random_network(3, "bc_resnet", **settings)
    x = log_mel(network, 6)
    model = modelfile.decode_model(
        modelfile.encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype)), "m.scn"
    )
    theirs = torch_probabilities(network, x)
    assert theirs.std(axis=0).max() > 0.01
    assert np.abs(Classifier(model).probabilities(x) - theirs).max() <= tolerance
    ops = [node.op for node in model.nodes]
    rows = len(network.network.blocks)
    assert (ops.count("FrequencyMeanPool"), ops.count("Silu")) == (rows, rows)
    assert ops.count("Add") == rows + sum(block.same for block in network.network.blocks)
    apart = [node.dilation for node in model.nodes if node.op == "Conv" and "over_time" in node.weight]
    assert apart == [block.over_time.dilation for block in network.network.blocks]


def test_folding_its_norms_changes_nothing() -> None:
    network = random_network(3, "bc_resnet", sub_bands=4)
    x, (nodes, arrays) = log_mel(network, 4), trace(network)
    shape = (2, 64, FRAMES)
    for fold in (True, False):
        found = make_session(nodes, arrays, shape, threads=1, fold=fold).run(["probabilities"], {"log_mel": x})[0]
        assert np.abs(found - torch_probabilities(network, x)).max() <= 1e-5


def test_weights_that_are_fp16_already_come_back_exactly() -> None:
    network = random_network(width=16)
    with torch.no_grad():
        for weight in prune.convolution_weights(network).values():
            weight.copy_(weight.half().float())
    back = modelfile.decode_model(modelfile.encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW)), "m.scn")
    for name, weight in prune.convolution_weights(network.network).items():
        assert np.array_equal(back.arrays[name], weight.detach().numpy())


def test_shared_weights_are_stored_once_and_named_by_each_pass() -> None:
    nodes, arrays = trace(random_network(width=8))
    named = [node.weight for node in nodes if node.op == "Conv" and node.weight == "srb1.conv1.0.weight"]
    assert len(named) == 3
    assert sum(array.size for name, array in arrays.items() if name.endswith(".weight")) == sum(
        weight.numel() for weight in prune.convolution_weights(random_network(width=8)).values()
    )


def test_sub_band_norms_keep_a_row_for_each_band() -> None:
    _, arrays = trace(random_network(width=8, sub_bands=2))
    assert arrays["rb1.norm2.scale"].shape == (2, 8)
    assert arrays["rb1.norm1.scale"].shape == (1, 8)
    assert not np.array_equal(arrays["rb1.norm2.scale"][0], arrays["rb1.norm2.scale"][1])


def test_multiply_accumulates_of_ten_seconds_of_stereo() -> None:
    network = create_model("shared_resnet", num_classes=3)
    blank = torch.ones(256)
    nodes, arrays = trace(StandardizedNetwork(network, blank, blank).eval())
    array_shapes = {name: array.shape for name, array in arrays.items()}
    pluralize = macs(nodes, array_shapes, (2, 256, 431))
    expected = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal expected
        expected += module.weight[0].numel() * output[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 2, 256, 431))
    assert pluralize == expected
    assert round(pluralize / 1e9, 2) == 2.27
    assert shapes(nodes, array_shapes, (2, 256, 431))["probabilities"] == (3,)


def test_sizes_of_the_papers_network() -> None:
    network = StandardizedNetwork(
        create_model("shared_resnet", num_classes=3), torch.zeros(256), torch.ones(256)
    ).eval()
    masks = prune.global_l1_masks(network, 0.6)
    pruned = copy.deepcopy(network)
    prune.apply_masks(pruned, masks)
    model = to_scene_model(pruned, LABELS, FeatureConfig(), WindowConfig(), masks)
    data = modelfile.encode_model(model)
    found = sizes(model, len(data))
    assert found["paper"] == 491_174
    assert round(found["dcase2020"] / 1024, 2) == 463.90
    assert round(found["dcase2020_with_ssn"] / 1024, 2) == 466.40
    assert found["dcase2022"] == 2 * 601_862
    assert found["disk"] == len(data) <= 500_000
