"""Tests of the log-mel front end against librosa and against pure tones."""

import librosa
import numpy as np
import pytest
import scipy.signal

from scenelet.audio.log_mel import (
    CHUNK_FRAMES,
    MAX_BLOCK_WEIGHTS,
    LogMel,
    a_weighting_db,
    mel_blocks,
    mel_matrix,
    window_function,
)
from scenelet.config import FeatureConfig
from scenelet.config.recipes import load_recipe


def noise(rng: np.random.Generator, seconds: float = 2.0, channels: int = 2) -> np.ndarray:
    return (rng.standard_normal((channels, int(22050 * seconds))) * 0.1).astype(np.float32)


def librosa_power(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    spectrum = librosa.stft(samples, n_fft=config.n_fft, hop_length=config.hop_length, pad_mode="reflect")
    return np.abs(spectrum) ** 2


@pytest.mark.parametrize("n_mels", [40, 128, 256])
def test_mel_matrix_matches_librosa(n_mels: int) -> None:
    ours = mel_matrix(22050, 2048, n_mels, 0.0, 11025.0)
    assert np.allclose(ours, librosa.filters.mel(sr=22050, n_fft=2048, n_mels=n_mels), atol=1e-7)


def test_mel_matrix_of_frequency_range_matches_librosa() -> None:
    ours = mel_matrix(44100, 2048, 64, 50.0, 16000.0)
    assert np.allclose(ours, librosa.filters.mel(sr=44100, n_fft=2048, n_mels=64, fmin=50, fmax=16000), atol=1e-7)


def test_a_weighting_matches_librosa_and_is_zero_at_1_khz() -> None:
    hz = np.fft.rfftfreq(2048, 1 / 22050)
    with np.errstate(divide="ignore"):
        reference = librosa.A_weighting(hz, min_db=-80.0)
    assert np.allclose(a_weighting_db(2048, 22050), reference, atol=1e-4)
    assert a_weighting_db(20, 20000)[1] == pytest.approx(0.0, abs=1e-2)


def test_log_mel_matches_librosa(rng: np.random.Generator) -> None:
    config, samples = FeatureConfig(), noise(rng)
    ours = LogMel(config)(samples)
    for channel, one in zip(ours, samples, strict=True):
        mel = librosa.feature.melspectrogram(
            S=librosa_power(one, config), sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels
        )
        assert np.abs(channel - librosa.power_to_db(mel, top_db=80.0)).max() < 1e-3


def test_log_mel_with_log_before_mel_matches_librosa(rng: np.random.Generator) -> None:
    config, samples = FeatureConfig(log_before_mel=True, a_weighting=True), noise(rng)
    ours = LogMel(config)(samples)
    mel = librosa.filters.mel(sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels)
    with np.errstate(divide="ignore"):
        weighting = librosa.A_weighting(librosa.fft_frequencies(sr=22050, n_fft=2048), min_db=-80.0)
    for channel, one in zip(ours, samples, strict=True):
        decibels = librosa.power_to_db(librosa_power(one, config), top_db=80.0) + weighting[:, None]
        assert np.abs(channel - mel @ decibels).max() < 1e-3


def test_log_mel_of_ten_seconds_has_431_frames(rng: np.random.Generator) -> None:
    assert LogMel(FeatureConfig())(noise(rng, 10.0)).shape == (2, 256, 431)
    assert FeatureConfig().n_frames(220500) == 431


def test_log_mel_of_tone_peaks_in_its_band() -> None:
    config = FeatureConfig(channels="mono", n_mels=128)
    t = np.arange(22050) / 22050
    bands = LogMel(config)(np.sin(2 * np.pi * 3000 * t)[None].astype(np.float32))[0].mean(1)
    centers = librosa.mel_frequencies(130, fmin=0, fmax=11025)[1:-1]
    assert np.argmax(bands) == np.argmin(np.abs(centers - 3000))


def test_log_mel_clips_each_channel_below_its_maximum() -> None:
    t = np.arange(22050) / 22050
    loud = np.sin(2 * np.pi * 1000 * t)
    bands = LogMel(FeatureConfig(top_db=60.0))(np.stack([loud, 1e-3 * loud]).astype(np.float32))
    spans = bands.max(axis=(1, 2)) - bands.min(axis=(1, 2))
    assert spans == pytest.approx([60.0, 60.0], abs=1e-3)
    assert bands[0].max() - bands[1].max() == pytest.approx(60.0, abs=1e-2)


def test_log_mel_of_silence_is_the_floor() -> None:
    bands = LogMel(FeatureConfig())(np.zeros((2, 22050), np.float32))
    assert np.allclose(bands, -100.0, atol=1e-4)


def test_log_mel_of_too_few_samples_raises() -> None:
    with pytest.raises(ValueError, match="too few"):
        LogMel(FeatureConfig())(np.zeros((1, 1000), np.float32))


@pytest.mark.parametrize(("n_fft", "n_mels"), [(2048, 256), (2048, 40), (512, 128), (8192, 64), (64, 100)])
def test_mel_blocks_cover_the_matrix(n_fft: int, n_mels: int) -> None:
    mel = mel_matrix(22050, n_fft, n_mels, 0.0, 11025.0)
    blocks, again, covered = mel_blocks(mel), np.zeros_like(mel), []
    for bands, bins, weights in blocks:
        again[bands, bins] = weights
        covered += range(n_mels)[bands]
        assert weights.size <= MAX_BLOCK_WEIGHTS or len(weights) == 1
    assert np.array_equal(again, mel)
    assert covered == list(range(n_mels))


def test_mel_blocks_drop_most_zeros() -> None:
    mel = mel_matrix(22050, 2048, 256, 0.0, 11025.0)
    assert sum(weights.size for *_, weights in mel_blocks(mel)) < mel.size / 10


@pytest.mark.parametrize("log_before_mel", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
def test_log_mel_does_not_depend_on_threads_and_chunks(
    rng: np.random.Generator, log_before_mel: bool, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FeatureConfig(log_before_mel=log_before_mel, a_weighting=log_before_mel)
    samples = noise(rng, 10.0, channels)
    expected = LogMel(config)(samples)
    for threads in (2, 3, 5):
        assert np.array_equal(LogMel(config, threads)(samples), expected)
    assert expected.shape[2] > CHUNK_FRAMES
    monkeypatch.setattr("scenelet.audio.log_mel.CHUNK_FRAMES", 1000)
    assert np.allclose(LogMel(config)(samples), expected, atol=2e-5)


@pytest.mark.parametrize("log_before_mel", [True, False])
def test_log_mel_channels_are_independent(rng: np.random.Generator, log_before_mel: bool) -> None:
    transform, samples = LogMel(FeatureConfig(log_before_mel=log_before_mel, top_db=30.0)), noise(rng)
    samples[1] *= np.float32(1e-2)
    for channel, one in zip(transform(samples), samples, strict=True):
        assert np.array_equal(channel, transform(one[None])[0])


def test_log_mel_of_dcase2020_baseline_matches_librosa(rng: np.random.Generator) -> None:
    """The baseline has a 40 ms window in a longer transform, periodic Hamming, and mel sums of magnitudes."""
    config = load_recipe("dcase2020_baseline").features
    samples = (rng.standard_normal(48000) * 0.1).astype(np.float32)
    settings = {"n_fft": 2048, "win_length": 1920, "hop_length": 960, "window": "hamming", "pad_mode": "reflect"}
    magnitude = np.abs(librosa.stft(samples, **settings))
    mel = librosa.filters.mel(sr=48000, n_fft=2048, n_mels=40, fmin=0, fmax=24000) @ magnitude
    ours = LogMel(config)(samples[None])[0]
    assert ours.shape == (40, 51)
    assert np.abs(ours - 10 * np.log10(mel)).max() < 1e-3


def test_window_function_matches_scipy() -> None:
    for shape in ("hann", "hamming"):
        expected = np.pad(scipy.signal.get_window(shape, 100), (14, 14))
        assert np.abs(window_function(shape, 100, 128) - expected).max() < 1e-6
