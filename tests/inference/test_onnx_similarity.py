"""Embeddings and similarities of a graph, against PyTorch and NumPy."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from helpers.tiny_model import model_of, random_network, with_known_sounds
from helpers.traced_networks import ALL_NETWORKS, FEATURES, FRAMES, LABELS, WINDOW
from helpers.traced_networks import random_network as torch_network
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_network import to_onnx
from scenelet.model.known_sounds import KnownSounds, embedding_size, similarities
from scenelet.model.ops import EMBEDDING, INPUT, OUTPUT, SIMILARITY
from scenelet.nn.convert import to_scene_model
from scenelet.nn.ensemble import Ensemble
from scenelet.nn.standardize import StandardizedNetwork


def torch_embedding(network: StandardizedNetwork, log_mel: np.ndarray) -> np.ndarray:
    """Return what the last convolution or dense layer of each member reads, averaged over frequency and time."""
    inner, read = network.network, []
    for member in inner.members if isinstance(inner, Ensemble) else [inner]:
        last = [layer for layer in member.modules() if isinstance(layer, nn.Conv2d | nn.Linear)][-1]
        last.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        network(torch.from_numpy(log_mel))
    return np.concatenate([x.mean((2, 3)).numpy() if x.ndim == 4 else x.numpy() for x in read], axis=1)


@pytest.mark.parametrize(
    "settings", [*ALL_NETWORKS, {"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES}], ids=str
)
def test_embedding_and_similarity_of_every_network(settings: dict[str, Any]) -> None:
    network = torch_network(4, **settings)
    model = to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32")
    log_mel = np.random.default_rng(1).normal(-40, 10, (4, *model.input_shape)).astype(np.float32)
    expected = torch_embedding(network, log_mel)
    assert expected.shape == (4, embedding_size(model.nodes, model.shapes()))
    assert expected.std(axis=0).max() > 1e-3
    classifier = Classifier(model, threads=1)
    found = np.stack([classifier.embed_window.run_network(window) for window in log_mel])
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())

    means = expected[:3] + np.random.default_rng(2).normal(0, expected.std(), (3, expected.shape[1]))
    model = replace(model, known=KnownSounds(means.astype(np.float32), 0.5))
    pipeline = Classifier(model, threads=1)._shared
    windows = [pipeline.run_network(window) for window in log_mel]
    np.testing.assert_allclose(
        [window.similarity for window in windows], similarities(expected, means), atol=1e-4, rtol=0
    )
    np.testing.assert_allclose(
        np.stack([window.probabilities for window in windows]), classifier.probabilities(log_mel), atol=1e-6
    )


@pytest.mark.parametrize("dense", [False, True])
def test_to_onnx_with_known_sounds_has_a_second_output_for_any_batch(dense: bool) -> None:
    model = with_known_sounds(model_of(random_network(5, dense)))
    graph = to_onnx(model.nodes, model.arrays, model.input_shape, known=model.known)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == [OUTPUT, SIMILARITY]
    log_mel = np.random.default_rng(5).normal(0, 2, (3, *model.input_shape)).astype(np.float32)
    probabilities, similarity = session.run(None, {INPUT: log_mel})
    classifier = Classifier(model, threads=1)
    np.testing.assert_allclose(probabilities, classifier.probabilities(log_mel), atol=1e-6)
    embeddings = np.stack([classifier.embed_window.run_network(window) for window in log_mel])
    np.testing.assert_allclose(similarity[:, 0], similarities(embeddings, model.known.means), atol=1e-5)


def test_similarity_of_an_embedding_of_zeros_is_0() -> None:
    model = model_of(random_network(5, dense=True))
    arrays = {name: 0 * array for name, array in model.arrays.items()}
    pipeline = Classifier(with_known_sounds(replace(model, arrays=arrays)), threads=1)._shared
    assert pipeline.run_network(np.ones(model.input_shape, np.float32)).similarity == 0


def test_names_of_values_cannot_be_those_of_outputs() -> None:
    assert ":" in EMBEDDING
    assert ":" in SIMILARITY


def test_openvino_gives_the_similarity(openvino: Any) -> None:
    model = with_known_sounds(model_of(random_network(5)))
    log_mel = np.random.default_rng(5).normal(0, 2, model.input_shape).astype(np.float32)
    ours, theirs = (
        Classifier(model, 1, runtime)._shared.run_network(log_mel) for runtime in ("onnxruntime", "openvino")
    )
    assert theirs.similarity == pytest.approx(ours.similarity, abs=0.02)
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=0.05)
