"""Embeddings of windows, by ONNX Runtime, against those of PyTorch."""

import numpy as np
import pytest

from helpers.traced_networks import FEATURES, FRAMES, LABELS, WINDOW, random_network
from scenelet.data.feature_cache import ClipFeatures
from scenelet.inference.classifier import Classifier
from scenelet.nn.convert import to_scene_model
from scenelet.training.head import embeddings


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "bc_resnet", "width": 8, "sub_bands": 2},
        {"name": "bc_resnet", "width": 8, "sub_bands": 2, "blocks": 1, "members": 3},
        {"name": "dcase2020_baseline", "n_mels": 64, "frames": FRAMES},
    ],
    ids=str,
)
def test_embedding_equals_that_of_pytorch(settings: dict[str, object]) -> None:
    network = random_network(1, **settings)
    classifier = Classifier(to_scene_model(network, LABELS, FEATURES, WINDOW, dtype="fp32"), threads=1)
    values = np.random.default_rng(0).normal(-40, 10, (4, 2, 64, FRAMES)).astype(np.float16)
    expected = embeddings(network, ClipFeatures(values, np.arange(4), np.ones(4, np.int64)))
    found = np.stack([classifier.embed_window.run_network(window) for window in values])
    assert found.shape == expected.shape
    assert expected.std(axis=0).max() > 1e-3
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_embeddings_have_a_row_per_window_and_zeros_for_silence(rng: np.random.Generator, write_wav) -> None:
    network = random_network(1, name="bc_resnet", width=8, sub_bands=2)
    model = to_scene_model(network, LABELS, FEATURES, WINDOW)
    sound = rng.normal(0, 0.1, (2, 40_000)).astype(np.float32)  # 5 s at 8000 Hz
    sound[:, 16_000:32_000] = 0
    path = write_wav(sound, 8000)
    found = Classifier(model, threads=1).embeddings(path)
    assert found.dtype == np.float32
    assert len(found) == len(Classifier(model).predict(path).windows)
    silent = ~Classifier(model).predict(path).windows.any(axis=1)
    assert silent.any()
    assert np.array_equal(silent, ~found.any(axis=1))
    assert np.array_equal(found, Classifier(model, threads=2).embeddings(path))
