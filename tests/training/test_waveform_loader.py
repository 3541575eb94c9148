"""Augmented waveforms: labels, independence of threads, and the log-mel of a program without PyTorch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig, WaveformConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.waveform_loader import WaveformLoader, noise_bank

FEATURES = FeatureConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=32)
EVERYTHING: dict[str, Any] = {
    "train": True,
    "speed": 0.2,
    "pitch_semitones": 3,
    "pitch_probability": 0.5,
    "shift_seconds": 0.3,
    "mix_probability": 0.8,
    "response_probability": 0.5,
    "max_rt60_seconds": 0.2,
    "noise_probability": 0.5,
    "gain_db": 6,
}
LABELS = np.eye(3, dtype=np.float32)[np.arange(12) % 3]


def clips(windows: int = 12) -> ClipFeatures:
    values = np.random.default_rng(0).normal(0, 0.1, (windows, 2, 4000)).astype(np.float16)
    return ClipFeatures(values, np.arange(windows), np.ones(windows, np.int64))


SOUNDS = clips().values.astype(np.float32)


def loader(threads: int = 1, **settings: Any) -> WaveformLoader:
    return WaveformLoader(clips(), WaveformConfig(train=True, **settings), FEATURES, threads=threads)


def everything(threads: int = 1) -> WaveformLoader:
    responses = [np.float32([1, 0.5, 0.25]), np.random.default_rng(2).normal(size=300).astype(np.float32)]
    return WaveformLoader(clips(), WaveformConfig(**EVERYTHING), FEATURES, responses, threads)


def load(of: WaveformLoader, seed: int = 0, batches: int = 6) -> list[tuple[torch.Tensor, np.ndarray]]:
    rngs = np.random.default_rng(seed).spawn(batches)
    order = np.arange(12)[::-1]
    return [(torch.from_numpy(x), y) for x, y in of.load(0, [(order, order, LABELS, rng) for rng in rngs])]


def augmented(rng: int = 0, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    waveforms, labels = loader(**settings).augment(SOUNDS, LABELS, np.random.default_rng(rng))
    return np.stack(waveforms), labels


def test_without_augmentation_it_gives_log_mel_of_the_windows() -> None:
    ((x, y),) = load(loader(), batches=1)
    expected = [LogMel(FEATURES)(window.astype(np.float32)) for window in clips().values[::-1]]
    assert np.array_equal(x.numpy(), np.stack(expected))
    assert x.dtype == torch.float32
    assert np.array_equal(y, LABELS)


@pytest.mark.parametrize("threads", [2, 5])
def test_batches_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    for (x, y), (other_x, other_y) in zip(load(everything()), load(everything(threads)), strict=True):
        assert torch.equal(x, other_x)
        assert np.array_equal(y, other_y)


def test_batches_differ_between_seeds_and_within_an_epoch() -> None:
    (x, _), (second, _), *_ = load(everything())
    assert not torch.equal(x, second)
    assert not torch.equal(x, load(everything(), seed=1)[0][0])


def test_log_mel_of_an_augmented_waveform_is_reproduced_without_torch(tmp_path: Path) -> None:
    """A program that only predicts gets the waveforms, and computes the log-mel that the network was trained on."""
    waveforms, _ = everything().augment(SOUNDS, LABELS, np.random.default_rng(3))
    x, _ = next(everything().load(0, [(np.arange(12), np.arange(12), LABELS, np.random.default_rng(3))]))
    np.save(tmp_path / "waveforms.npy", waveforms)
    script = f"""
import sys
import numpy as np
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows_of_array
from scenelet.config import FeatureConfig, WindowConfig
features = FeatureConfig.model_validate_json({FEATURES.model_dump_json()!r})
found = [
    LogMel(features)(cut)
    for waveform in np.load({str(tmp_path / "waveforms.npy")!r})
    for cut in windows_of_array(waveform, features.sample_rate, features, WindowConfig(seconds=0.5))
]
assert "torch" not in sys.modules
np.save({str(tmp_path / "found.npy")!r}, np.stack(found))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    found = np.load(tmp_path / "found.npy")
    assert found.shape == x.shape == (12, 2, 32, 32)
    assert np.abs(found - x).max() <= 1e-4
    assert np.abs(found).max() > 1


def test_mixed_labels_are_those_of_two_classes_and_match_the_sounds() -> None:
    """Each class is one frequency, so the label weights are the fractions of the amplitudes."""
    hertz, times = np.array([500, 1000, 2000]), np.arange(4000) / 8000
    levels = 10 ** np.random.default_rng(1).uniform(-3, 0, 12)
    tones = levels[:, None] * np.sin(2 * np.pi * hertz[np.arange(12) % 3][:, None] * times)
    values = np.repeat(tones[:, None], 2, axis=1).astype(np.float16)
    source = ClipFeatures(values, np.arange(12), np.ones(12, np.int64))
    mixing = WaveformLoader(source, WaveformConfig(train=True, mix_probability=1), FEATURES)
    mixed, labels = mixing.augment(values.astype(np.float32), LABELS, np.random.default_rng(0))
    waves = np.exp(-2j * np.pi * hertz[:, None] * times)
    amplitudes = np.abs(np.stack(mixed)[:, 0].astype(np.float64) @ waves.T)
    assert labels == pytest.approx(amplitudes / amplitudes.sum(1, keepdims=True), abs=2e-3)
    assert ((labels > 0).sum(1) == 2).all()
    assert labels.sum(1) == pytest.approx(np.ones(12))
    assert len(np.unique(labels.max(1))) == 12


def test_mixing_is_drawn_by_its_probability_and_needs_two_classes() -> None:
    counts = [int((augmented(seed, mix_probability=0.5)[1].max(1) < 1).sum()) for seed in range(20)]
    assert 90 < sum(counts) < 150  # of 240
    one_class = np.tile(LABELS[:1], (12, 1))
    waveforms, labels = loader(mix_probability=1).augment(SOUNDS, one_class, np.random.default_rng(0))
    assert np.array_equal(labels, one_class)
    assert np.array_equal(waveforms, SOUNDS)


def test_shift_is_circular_and_at_most_as_long_as_set() -> None:
    waveforms, _ = augmented(shift_seconds=0.01)
    shifts = set()
    for shifted, clean in zip(waveforms, SOUNDS, strict=True):
        shifts |= {s for s in range(-80, 81) if np.array_equal(np.roll(clean, s, axis=1), shifted)}
    assert len(shifts) > 6
    assert min(shifts) < 0 < max(shifts)


def test_gain_changes_all_samples_alike() -> None:
    waveforms, _ = augmented(gain_db=6)
    gains = waveforms / SOUNDS
    decibels = 20 * np.log10(gains[:, 0, 0])
    assert np.allclose(gains, gains[:, :1, :1], rtol=1e-4)
    assert 3 < np.abs(decibels).max() <= 6


def test_noise_lies_in_the_range_of_ratios_and_differs_between_channels() -> None:
    waveforms, _ = augmented(noise_probability=1, min_snr_db=5, max_snr_db=15)
    clean = SOUNDS
    noise = waveforms - clean
    ratios = 10 * np.log10(np.square(clean).mean((1, 2)) / np.square(noise).mean((1, 2)))
    assert 4.9 < ratios.min() < 8
    assert 12 < ratios.max() < 15.1
    assert np.abs([np.corrcoef(both)[0, 1] for both in noise]).max() < 0.5


def test_noise_bank_is_white_and_pink() -> None:
    for noise, slope in zip(noise_bank(80_000), (0.0, -3.01), strict=True):
        assert float(np.square(noise).mean()) == pytest.approx(1, abs=0.02)
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [10 * np.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(9, 15)]
        assert np.diff(octaves) == pytest.approx(np.full(5, slope), abs=0.5)


def test_impulse_responses_are_applied() -> None:
    config = WaveformConfig(train=True, response_probability=1)
    shifted = WaveformLoader(clips(), config, FEATURES, responses=[np.float32([0, 1])])
    waveforms, _ = shifted.augment(SOUNDS, LABELS, np.random.default_rng(0))
    assert np.allclose(np.stack(waveforms)[:, :, 1:], SOUNDS[:, :, :-1], atol=1e-5)


@pytest.mark.parametrize("name", ["speed", "pitch_semitones"])
def test_changes_of_speed_and_pitch_keep_the_length(name: str) -> None:
    waveforms, _ = augmented(**{name: 0.3, "pitch_probability": 1})
    assert waveforms.shape == (12, 2, 4000)
    assert not np.allclose(waveforms, SOUNDS, atol=0.01)


def test_kept_windows_are_those_of_the_last_complete_epoch() -> None:
    reusing = loader(speed=0.1, reuse_epochs=2)
    order = np.random.default_rng(0).permutation(12)
    rngs = np.random.default_rng(0).spawn(3)
    batches = [(part, part, LABELS[part], rng) for part, rng in zip(np.split(order, 3), rngs, strict=True)]
    x, _ = zip(*reusing.load(4, batches), strict=True)
    assert reusing.kept_epoch == 4
    kept, labels = reusing.kept(order)
    assert np.array_equal(kept, np.concatenate(x).astype(np.float16).astype(np.float32))
    assert np.array_equal(labels, LABELS[order])
    interrupted = reusing.load(6, batches)
    next(interrupted)
    assert reusing.kept_epoch is None


def test_without_mixing_changes_nothing_else() -> None:
    mixing = loader(mix_probability=1, gain_db=6)
    unmixed = mixing.without_mixing()
    waveforms, labels = unmixed.augment(SOUNDS, LABELS, np.random.default_rng(0))
    expected, _ = augmented(gain_db=6)
    assert np.array_equal(np.stack(waveforms), expected)
    assert np.array_equal(labels, LABELS)
    assert mixing.config.mix_probability == 1
