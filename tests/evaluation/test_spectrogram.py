"""Windows of the listening page: levels, axes, occlusion bars, and the position of the sound."""

import base64
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import changed, tiny_model
from scenelet.audio.display import levels
from scenelet.config import WindowConfig
from scenelet.evaluation.spectrogram import average_neighbors, occlusion_bars, spectrogram_windows
from scenelet.inference.classifier import Classifier
from scenelet.inference.occlusion import OcclusionMap


@pytest.mark.parametrize(
    ("max_size", "shape"), [(156, (6, 13)), (155, (6, 7)), (84, (6, 7)), (83, (3, 7)), (9, (2, 2))]
)
def test_average_neighbors_keeps_the_maximum_size(max_size: int, shape: tuple[int, int]) -> None:
    pooled = average_neighbors(np.zeros((2, 6, 13), np.float32), max_size)
    assert pooled.shape == (2, *shape)
    assert pooled.size <= max_size


def test_average_neighbors_takes_means() -> None:
    log_mel = np.arange(4 * 5, dtype=np.float32).reshape(1, 4, 5)
    assert average_neighbors(log_mel, 12)[0].tolist() == [
        [(a + b) / 2 for a, b in ((0, 1), (2, 3), (4, 4))],
        [(a + b) / 2 for a, b in ((5, 6), (7, 8), (9, 9))],
        [(a + b) / 2 for a, b in ((10, 11), (12, 13), (14, 14))],
        [(a + b) / 2 for a, b in ((15, 16), (17, 18), (19, 19))],
    ]


def test_spectrogram_windows_show_the_networks_input(tmp_path: Path, rng: np.random.Generator) -> None:
    soundfile.write(tmp_path / "a.wav", 0.1 * rng.standard_normal((8000, 2)), 8000)
    classifier = Classifier(tiny_model(), threads=1)
    inputs = list(classifier.log_mel_windows(tmp_path / "a.wav"))
    assert len(inputs) == 5
    np.testing.assert_array_equal(
        classifier.probabilities(np.stack(inputs)), classifier.predict(tmp_path / "a.wav").windows
    )
    shown = list(spectrogram_windows(classifier, tmp_path / "a.wav", [1, 3], 0, 10**6))
    assert [window["start"] for window in shown] == pytest.approx([0.2, 0.6])
    assert [channel["name"] for channel in shown[0]["channels"]] == ["left", "right"]
    floor = max(min(inputs[1].min(), inputs[3].min()), max(inputs[1].max(), inputs[3].max()) - 80)
    expected = levels(inputs[3], floor, max(inputs[1].max(), inputs[3].max()))
    for channel, drawn in zip(shown[1]["channels"], expected, strict=True):
        assert (
            np.abs(np.frombuffer(base64.b64decode(channel["levels"]), np.uint8) - drawn.ravel().astype(int)).max() <= 1
        )
    assert [tick["text"] for tick in shown[1]["ticks_s"]] == ["0.6", "0.7", "0.8"]
    assert shown[1]["ticks_s"][1]["position"] == pytest.approx((0.1 / 0.016 + 0.5) / 13)
    assert shown[0]["span"] == (0.0, 0.2)


def test_occlusion_bars_are_fractions_of_the_largest() -> None:
    edges = np.array([0, 2, 4, 8])
    found = OcclusionMap(
        log_odds=1.5,
        by_band=np.array([2.0, -1.0, 0.0]),
        by_time=np.array([-4.0]),
        grid=None,
        rows=edges,
        frames=np.array([0, 5]),
        edges_hz=np.array([0.0, 100.0, 1000.0, 4000.0]),
        edges_seconds=np.array([0.0, 0.5]),
    )
    shown = occlusion_bars(found)
    assert [(bar["low"], bar["high"]) for bar in shown["bands"]] == [(0, 1), (-0.5, 0), (0, 0)]
    assert [(bar["from"], bar["size"]) for bar in shown["bands"]] == [(0, 0.25), (0.25, 0.25), (0.5, 0.5)]
    assert [bar["name"] for bar in shown["bands"]] == ["0 Hz to 100 Hz", "100 Hz to 1 kHz", "1 kHz to 4 kHz"]
    assert [(bar["low"], bar["value"]) for bar in shown["moments"]] == [(-1, -4)]
    assert (shown["bands_below"], shown["moments_below"]) == (0.5, 1)
    assert shown["probability"] == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert shown["bands"][0]["without"] == pytest.approx(1 / (1 + np.exp(0.5)))


def test_spectrogram_windows_locate_repeated_sound(tmp_path: Path, rng: np.random.Generator) -> None:
    window = WindowConfig(seconds=0.2, pad_mode="repeat", min_sound_seconds=0.02)
    classifier = Classifier(changed(tiny_model(), window=window), threads=1)
    samples = np.zeros((3200, 2))
    samples[1600 + 400 : 1600 + 800] = 0.1 + 0.1 * rng.uniform(size=(400, 2))  # 0.05 to 0.1 s of the second window
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    first, second = spectrogram_windows(classifier, tmp_path / "a.wav", [0, 1], 0, 10**6)
    assert (first["span"], first["repeated"]) == ((0.0, 0.2), False)
    assert second["span"] == pytest.approx((0.05, 0.05))
    assert second["repeated"]
    assert second["ticks_s"][0]["text"] == "0"  # relative to the window, since the sound is repeated
