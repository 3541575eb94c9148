"""Tests of occlusion maps on linear networks, whose maps are known exactly."""

import librosa
import numpy as np
import pytest

from helpers.tiny_model import Builder, changed, model_of, tiny_model
from scenelet.inference.classifier import Classifier
from scenelet.inference.occlusion import log_odds, mean_levels, occlusion_map
from scenelet.model.ops import OUTPUT, Flatten, Linear, Softmax

MELS, FRAMES = 16, 13
MEAN, STD = np.linspace(-40, -10, MELS), np.linspace(5, 12, MELS)


def linear_classifier(weights: np.ndarray) -> Classifier:
    """Make a model whose first label has log-odds of the weights (n_mels, frames) times the standardized window."""
    net = Builder(np.random.default_rng(0), (1, MELS, FRAMES))
    net.scale_shift(MELS, channels=1)
    net.arrays["v0.scale"] = (1 / STD).astype(np.float32)[:, None]
    net.arrays["v0.shift"] = (-MEAN / STD).astype(np.float32)[:, None]
    net.push(Flatten(input=net.value, output="flat"))
    net.arrays["dense"] = np.stack([weights.ravel(), np.zeros(weights.size)]).astype(np.float32)
    net.arrays["bias"] = np.float32([0.25, 0])
    net.push(Linear(input="flat", output="logits", weight="dense", bias="bias"))
    net.push(Softmax(input="logits", output=OUTPUT))
    return Classifier(changed(model_of(net), labels=("a", "b")), threads=1)


@pytest.fixture
def window(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(MEAN[:, None], STD[:, None], (1, MELS, FRAMES)).astype(np.float32)


def test_occlusion_map_shows_only_used_bands(window: np.ndarray) -> None:
    weights = np.zeros((MELS, FRAMES))
    weights[6:8] = 0.1 * np.sign(window[0, 6:8] - MEAN[6:8, None])
    found = occlusion_map(linear_classifier(weights), window, 0, bands=8, moments=4)
    assert int(found.by_band.argmax()) == 3
    assert found.by_band[3] > 0
    others = [k for k in range(8) if k != 3]
    assert (found.by_band[others] == 0).all()
    assert (found.grid[others] == 0).all()


def test_occlusion_map_shows_only_used_frames(window: np.ndarray) -> None:
    weights = np.zeros((MELS, FRAMES))
    weights[:, 3:6] = 0.1 * np.sign(window[0, :, 3:6] - MEAN[:, None])
    found = occlusion_map(linear_classifier(weights), window, 0, bands=8, moments=4)
    assert found.frames.tolist() == [0, 3, 6, 9, 13]
    assert int(found.by_time.argmax()) == 1
    assert found.by_time[1] > 0
    assert (found.by_time[[0, 2, 3]] == 0).all()
    assert (found.grid[:, [0, 2, 3]] == 0).all()


def test_occlusion_map_of_linear_network_is_exact(window: np.ndarray, rng: np.random.Generator) -> None:
    weights = rng.normal(0, 0.2, (MELS, FRAMES))
    terms = weights * (window[0] - MEAN[:, None]) / STD[:, None]
    for label, sign in ((0, 1), (1, -1)):
        found = occlusion_map(linear_classifier(weights), window, label, bands=8, moments=4)
        grid = np.add.reduceat(np.add.reduceat(terms, found.rows[:-1], axis=0), found.frames[:-1], axis=1)
        assert found.log_odds == pytest.approx(sign * (terms.sum() + 0.25), abs=1e-4)
        np.testing.assert_allclose(found.grid, sign * grid, atol=1e-4)
        np.testing.assert_allclose(found.by_band, sign * grid.sum(axis=1), atol=1e-4)
        np.testing.assert_allclose(found.by_time, sign * grid.sum(axis=0), atol=1e-4)


def test_occlusion_map_of_saturated_answer_is_not_zero(window: np.ndarray) -> None:
    weights = np.zeros((MELS, FRAMES))
    weights[2:4] = 2 * np.sign(window[0, 2:4] - MEAN[2:4, None])
    classifier = linear_classifier(weights)
    assert classifier.probabilities(window[None])[0, 0] == 1
    found = occlusion_map(classifier, window, 0, bands=8, moments=4, grid=False)
    assert int(found.by_band.argmax()) == 1
    assert found.by_band[1] > 10
    assert found.grid is None


def test_log_odds_are_exact_and_finite() -> None:
    assert log_odds(np.float32([0.75, 0.25]), 0) == pytest.approx(np.log(3))
    assert log_odds(np.float32([0.2, 0.5, 0.3]), 1) == pytest.approx(0, abs=1e-6)
    assert log_odds(np.float32([1, 1e-20, 1e-20]), 0) == pytest.approx(-np.log(2e-20), rel=1e-6)
    for label in (0, 1):
        assert np.isfinite(log_odds(np.float32([1, 0, 0]), label))


def test_mean_levels_are_training_means(window: np.ndarray) -> None:
    model = linear_classifier(np.zeros((MELS, FRAMES))).model
    np.testing.assert_allclose(mean_levels(model, window)[0, :, 0], MEAN, rtol=1e-5)
    own = window.mean(axis=2, keepdims=True)
    model.arrays["v0.scale"][4] = 0  # the training mean of an unused band is unknown
    levels = mean_levels(model, window)
    np.testing.assert_allclose(levels[0, 4], own[0, 4], rtol=1e-5)
    np.testing.assert_allclose(levels[0, 5, 0], MEAN[5], rtol=1e-5)
    plain = Builder(np.random.default_rng(0), (1, MELS, FRAMES))
    plain.conv(4)
    plain.head(3, dense=False)
    np.testing.assert_allclose(mean_levels(model_of(plain), window), own, rtol=1e-5)


def test_occlusion_map_edges_are_in_hz_and_seconds() -> None:
    classifier = Classifier(tiny_model(), threads=1)
    found = occlusion_map(classifier, np.zeros(classifier.model.input_shape, np.float32), 2, bands=99, moments=5)
    assert found.rows.tolist() == list(range(17))  # a part has at least one mel band
    assert found.grid.shape == (16, 5)
    assert found.edges_hz.shape == (17,)
    mel = librosa.mel_frequencies(n_mels=2 * 18 - 1, fmin=0, fmax=4000)  # peaks of 16 bands, their edges, and midways
    np.testing.assert_allclose(found.edges_hz, mel[1:-1:2], rtol=1e-9)
    # frame k is the sound around k hops of 16 ms; the window has 0.2 s
    assert found.edges_seconds == pytest.approx([0, 1.5 * 0.016, 4.5 * 0.016, 6.5 * 0.016, 9.5 * 0.016, 0.2])


def test_occlusion_map_invalid_argument_raises(window: np.ndarray) -> None:
    classifier = linear_classifier(np.zeros((MELS, FRAMES)))
    with pytest.raises(ValueError, match="label_index is 2, of 2 labels"):
        occlusion_map(classifier, window, 2)
    with pytest.raises(ValueError, match="bands is 0 and moments 12"):
        occlusion_map(classifier, window, 0, bands=0)
    with pytest.raises(ValueError, match="shape"):
        occlusion_map(classifier, window[:, :8], 0)
