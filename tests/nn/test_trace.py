"""A network in PyTorch and its model file compute the same, with different statistics and affines everywhere."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

from helpers.traced_networks import ALL_NETWORKS, FEATURES, FRAMES, LABELS, WINDOW, random_network
from scenelet.config.recipes import load_recipe
from scenelet.data.feature_cache import ClipFeatures, band_statistics, load_features
from scenelet.data.load import load_table
from scenelet.export.onnx_file import onnx_bytes, run_onnxruntime
from scenelet.inference.classifier import Classifier
from scenelet.inference.runtimes import make_session
from scenelet.model.costs import macs
from scenelet.model.file import decode_model, encode_model, read_model, write_model
from scenelet.model.shapes import shapes
from scenelet.nn import create_model, prune
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace
from scenelet.training.probabilities import clip_probabilities, mean_over_windows


def log_mel(network: StandardizedNetwork, count: int) -> np.ndarray:
    """Draw noise whose spectrum differs between clips."""
    generator = torch.Generator().manual_seed(9)
    noise = torch.randn(count, 2, 64, FRAMES, generator=generator) + torch.randn(count, 1, 64, 1, generator=generator)
    return (noise * network.std[:, None] + network.mean[:, None]).numpy()


@pytest.fixture(scope="module")
def fold_1() -> ClipFeatures:
    """Load the features of the first fold of ESC-10, 80 real clips."""
    folder = os.environ.get("SCENELET_ESC10")
    if not folder:
        pytest.skip("SCENELET_ESC10 is not set: no real recordings to test with")
    table = load_table(Path(folder))
    recipe = load_recipe("paper_short")
    clips = [clip for clip in table.clips if clip.fold == "1"]
    return load_features(clips, table.root, recipe.features, recipe.window)


@pytest.mark.parametrize("sub_bands", [1, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_trace_agrees_with_pytorch_on_real_clips(fold_1: ClipFeatures, sub_bands: int, shared: bool) -> None:
    """The largest difference over 80 clips is 1e-5 with equal weights and 2e-3 in fp16. Labels never differ."""
    recipe = load_recipe("paper_short")
    network = random_network(width=64, sub_bands=sub_bands, shared=shared, in_channels=1, num_classes=10)
    mean, deviation = band_statistics(fold_1)
    network = StandardizedNetwork(network.network, torch.from_numpy(mean), torch.from_numpy(deviation)).eval()
    labels = tuple("abcdefghij")
    theirs = clip_probabilities(network, fold_1)
    assert len(theirs) == 80
    for dtype, tolerance in (("fp32", 1e-5), ("fp16", 2e-3)):
        model = to_scene_model(network, labels, recipe.features, recipe.window, dtype=dtype)
        classifier = Classifier(decode_model(encode_model(model), "m.scn"))
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
def test_trace_agrees_with_pytorch(settings: dict[str, object], dtype: str, tolerance: float, tmp_path: Path) -> None:
    network = random_network(**settings)
    x = log_mel(network, 6)
    write_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype), tmp_path / "m.scn")
    ours = Classifier(read_model(tmp_path / "m.scn")).probabilities(x)
    theirs = torch_probabilities(network, x)
    assert theirs.std(axis=0).max() > 0.01  # probabilities differ between clips
    assert np.abs(ours - theirs).max() <= tolerance
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


@pytest.mark.parametrize(
    "settings", [{"width": 8, "sub_bands": 4}, {"width": 12, "sub_bands": 2, "blocks": 1}], ids=str
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3)])
def test_trace_of_bc_resnet_agrees(settings: dict[str, object], dtype: str, tolerance: float) -> None:
    """Cover norms with an affine per sub-band, rows of time, dilated kernels, SiLU, and dropout, which is left out."""
    network = random_network(3, "bc_resnet", **settings)
    x = log_mel(network, 6)
    model = decode_model(encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype)), "m.scn")
    theirs = torch_probabilities(network, x)
    assert theirs.std(axis=0).max() > 0.01
    assert np.abs(Classifier(model).probabilities(x) - theirs).max() <= tolerance
    ops = [node.op for node in model.nodes]
    rows = len(network.network.blocks)
    assert (ops.count("FrequencyMeanPool"), ops.count("Silu")) == (rows, rows)
    assert ops.count("Add") == rows + sum(block.same for block in network.network.blocks)
    dilations = [node.dilation for node in model.nodes if node.op == "Conv" and "over_time" in node.weight]
    assert dilations == [block.over_time.dilation for block in network.network.blocks]


@pytest.mark.parametrize("settings", ALL_NETWORKS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("fp16", 4e-3)])
def test_trace_of_every_network_agrees(settings: dict[str, Any], dtype: str, tolerance: float) -> None:
    network = random_network(4, **settings)
    x = log_mel(network, 6)
    model = decode_model(encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype=dtype)), "m.scn")
    theirs = torch_probabilities(network, x)
    assert theirs.std(axis=0).max() > 5e-3
    assert np.abs(Classifier(model).probabilities(x) - theirs).max() <= tolerance
    exported = run_onnxruntime(onnx_bytes(model, "log-mel"), "log_mel")
    assert np.abs(exported(x) - theirs).max() <= tolerance
    norms = [node.input for node in model.nodes if node.op == "ResidualNorm"]
    stages = 4 if settings["name"] == "bc_resnet" else 0
    assert len(norms) == (1 + stages if settings.get("residual_norm") else 0)
    assert norms[:1] == ["x"][: len(norms)]  # the first one reads the standardized input
    assert [node.op for node in model.nodes].count("AveragePool") == (settings["name"] == "cp_mobile")


def test_folding_norms_of_bc_resnet_changes_nothing() -> None:
    network = random_network(3, "bc_resnet", sub_bands=4)
    x, (nodes, arrays) = log_mel(network, 4), trace(network)
    shape = (2, 64, FRAMES)
    found = make_session(nodes, arrays, shape, threads=1).run(["probabilities"], {"log_mel": x})[0]
    assert np.abs(found - torch_probabilities(network, x)).max() <= 1e-5


def test_weights_in_fp16_are_stored_exactly() -> None:
    network = random_network(width=16)
    with torch.no_grad():
        for weight in prune.convolution_weights(network).values():
            weight.copy_(weight.half().float())
    decoded = decode_model(encode_model(to_scene_model(network, LABELS, FEATURES, WINDOW)), "m.scn")
    for name, weight in prune.convolution_weights(network.network).items():
        assert np.array_equal(decoded.arrays[name], weight.detach().numpy())


def test_trace_stores_shared_weights_once() -> None:
    nodes, arrays = trace(random_network(width=8))
    named = [node.weight for node in nodes if node.op == "Conv" and node.weight == "srb1.conv1.0.weight"]
    assert len(named) == 3
    assert sum(array.size for name, array in arrays.items() if name.endswith(".weight")) == sum(
        weight.numel() for weight in prune.convolution_weights(random_network(width=8)).values()
    )


def test_trace_keeps_a_row_per_sub_band() -> None:
    _, arrays = trace(random_network(width=8, sub_bands=2))
    assert arrays["rb1.norm2.scale"].shape == (2, 8)
    assert arrays["rb1.norm1.scale"].shape == (1, 8)
    assert not np.array_equal(arrays["rb1.norm2.scale"][0], arrays["rb1.norm2.scale"][1])


def test_macs_of_ten_seconds_of_stereo() -> None:
    network = create_model("shared_resnet", num_classes=3)
    blank = torch.ones(256)
    nodes, arrays = trace(StandardizedNetwork(network, blank, blank).eval())
    array_shapes = {name: array.shape for name, array in arrays.items()}
    counted = macs(nodes, array_shapes, (2, 256, 431))
    expected = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal expected
        expected += module.weight[0].numel() * output[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 2, 256, 431))
    assert counted == expected
    assert round(counted / 1e9, 2) == 2.27
    assert shapes(nodes, array_shapes, (2, 256, 431))["probabilities"] == (3,)


def test_trace_refuses_a_layer_without_a_node() -> None:
    network = StandardizedNetwork(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sigmoid()), torch.zeros(4), torch.ones(4))
    with pytest.raises(TypeError, match=r"layer 1 \(Sigmoid\) has no equivalent node"):
        trace(network.eval())


def test_threads_trace_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    monkeypatch.setattr(fx.Tracer, "trace", lambda *_: both.wait(timeout=0.5))
    with ThreadPoolExecutor(2) as threads:
        traces = [threads.submit(trace, random_network()) for _ in range(2)]
        assert [type(done.exception()) for done in traces] == 2 * [threading.BrokenBarrierError]
