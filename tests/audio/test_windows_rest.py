"""The rest of a recording that is too short for another frame: kept by the last window if `keep_rest` is set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from scenelet.audio.log_mel import LogMel, mel_matrix, window_function
from scenelet.audio.windows import WindowSplitter, windows_of_array
from scenelet.config import FeatureConfig, WindowConfig

RATE, N_FFT, HOP = 8000, 256, 256
FEATURES = FeatureConfig(sample_rate=RATE, channels="mono", n_fft=N_FFT, hop_length=HOP, n_mels=16)
KEPT, DROPPED = WindowConfig(seconds=1.0, keep_rest=True), WindowConfig(seconds=1.0)


def test_last_frame_contains_the_rest() -> None:
    """An impulse in the rest, and its reflection at the end of the recording, are all that the last frame holds."""
    sound = np.zeros((1, RATE + 3), np.float32)
    sound[0, RATE] = 1.0
    (cut,) = windows_of_array(sound, RATE, FEATURES, KEPT)
    assert cut.shape == (1, RATE + 3)
    frame = np.zeros(N_FFT)
    center = RATE // HOP * HOP
    for position in (RATE, RATE + 4):  # the last sample, around which the end is reflected, is RATE + 2
        frame[N_FFT // 2 + position - center] = 1.0
    power = np.abs(fft.rfft(frame * window_function("hann", N_FFT, N_FFT))) ** 2
    expected = 10 * np.log10(mel_matrix(RATE, N_FFT, 16, 0.0, RATE / 2) @ power)
    np.testing.assert_allclose(LogMel(FEATURES)(cut)[0, :, -1], expected, atol=1e-3)
    (dropped,) = windows_of_array(sound, RATE, FEATURES, DROPPED)
    assert dropped.shape == (1, RATE)
    assert not dropped.any()


@pytest.mark.parametrize(("samples", "length"), [(480_000, 220_500), (480_001, 220_501), (479_999, 220_500)])
def test_length_is_rounded_up_as_in_librosa(samples: int, length: int) -> None:
    """librosa resamples 480,001 samples to 220,500.46, rounds up, and fills the last sample with zero."""
    features = FeatureConfig(sample_rate=22_050, channels="mono", log_before_mel=True)
    sound = np.full((1, samples), 0.5, np.float32)
    (cut,) = windows_of_array(sound, 48_000, features, WindowConfig(seconds=10.0, keep_rest=True))
    assert cut.shape == (1, length)
    assert (cut[0, -1] == 0.0) == (samples == 480_001)
    assert LogMel(features)(cut).shape == (1, 256, 431)


def test_last_frames_agree_with_librosa(rng: np.random.Generator) -> None:
    """CP-ResNet transforms the whole recording, as librosa resamples it: 480,001 samples become 220,501."""
    librosa = pytest.importorskip("librosa")
    features = FeatureConfig(sample_rate=22_050, channels="mono", log_before_mel=True)
    sound = rng.normal(0, 0.1, (1, 480_001)).astype(np.float32)
    (cut,) = windows_of_array(sound, 48_000, features, WindowConfig(seconds=10.0, keep_rest=True))
    (plain,) = windows_of_array(sound, 48_000, features, WindowConfig(seconds=10.0))
    resampled = librosa.resample(sound[0], orig_sr=48_000, target_sr=22_050, res_type="soxr_hq")
    power = np.abs(librosa.stft(resampled, n_fft=2048, hop_length=512, pad_mode="reflect")) ** 2
    mel = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=256)
    expected = mel @ librosa.power_to_db(power, amin=1e-10, top_db=80)
    np.testing.assert_allclose(LogMel(features)(cut)[0], expected, atol=1e-3)
    differences = np.abs(LogMel(features)(plain)[0] - expected).max(axis=0)
    assert differences[:-2].max() < 1e-3
    assert differences[-1] > 0.1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30_000), st.integers(1, 9000), st.sampled_from([0.5, 1.0]))
def test_windows_do_not_depend_on_blocks_and_have_equal_frames(total: int, block: int, hop: float) -> None:
    """Windows start at multiples of the hop; the last one ends with the recording if less than a frame is left."""
    window = WindowConfig(seconds=1.0, hop_seconds=hop, keep_rest=True)
    sound = np.arange(1, total + 1, dtype=np.float32)[None] / total
    splitter = WindowSplitter(RATE, FEATURES, window)
    found = [cut for start in range(0, total, block) for cut in splitter.push(sound[:, start : start + block])]
    found += splitter.finish()
    assert len(found) == window.count(total, RATE)
    for index, cut in enumerate(found):
        start = index * window.hop_samples(RATE)
        end = start + cut.shape[1]
        assert FEATURES.n_frames(cut.shape[1]) == FEATURES.n_frames(RATE)
        assert cut.shape[1] == RATE or (index == len(found) - 1 and end == total)
        np.testing.assert_array_equal(cut[0, : total - start], sound[0, start:end])
    rest = total - (len(found) - 1) * window.hop_samples(RATE) - RATE
    assert found[-1].shape[1] == RATE + (rest if 0 < rest <= window.rest_samples(FEATURES) else 0)
