"""Tests of the front end as an ONNX graph against `LogMel` and `windows_of_array`."""

import functools
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.tiny_model import tiny_model
from scenelet.audio.log_mel import LogMel
from scenelet.audio.samples import arrange_channels
from scenelet.audio.windows import windows_of_array
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.inference.onnx_frontend import WAVEFORM, FrontendGraph, frontend_macs
from scenelet.inference.onnx_network import IR_VERSION, OPSET, to_onnx
from scenelet.model.ops import INPUT, OUTPUT

RATE = 8000
N = 1600
MIN_SOUND = 160
FILLED = WindowConfig(seconds=N / RATE, pad_mode="repeat", silence_threshold_db=60, min_sound_seconds=MIN_SOUND / RATE)
USUAL = {"channels": "stereo", "n_fft": 256, "hop_length": 100, "n_mels": 16}
PAPER = {"log_before_mel": True, "a_weighting": True}


def config(**changes: Any) -> FeatureConfig:
    return FeatureConfig(sample_rate=RATE, **{**USUAL, **changes})


@functools.cache
def session(features: FeatureConfig, window: WindowConfig) -> onnxruntime.InferenceSession:
    """Open a graph of the front end only, from "waveform" to "log_mel"."""
    front = FrontendGraph(features, window)
    frames = features.n_frames(front.samples)
    shapes = {
        WAVEFORM: [1, features.n_channels, front.samples],
        INPUT: [1, features.n_channels, features.n_mels, frames],
    }
    graph = onnx.helper.make_graph(
        front.operations,
        "front",
        *([onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])] for name in shapes),
        [onnx.numpy_helper.from_array(array, name) for name, array in front.constants.items()],
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def graph_log_mel(samples: np.ndarray, features: FeatureConfig, window: WindowConfig) -> np.ndarray:
    found = session(features, window).run([INPUT], {WAVEFORM: samples[None]})[0]
    assert found.dtype == np.float32
    assert found.shape[0] == 1
    return found[0]


def log_mel(samples: np.ndarray, features: FeatureConfig, window: WindowConfig) -> np.ndarray:
    """Compute the log-mel as a classifier does."""
    (cut,) = windows_of_array(samples, RATE, features, window)
    return LogMel(features)(cut)


def noise(n: int = N, channels: int = 2) -> np.ndarray:
    """Make noise that is louder at low frequencies, with the second channel 20 dB below the first."""
    rng = np.random.default_rng(0)
    rows = [np.convolve(rng.normal(0.0, 0.1**row, n), 0.8 ** np.arange(20), "same") for row in range(1, channels + 1)]
    return np.stack(rows).astype(np.float32)


CASES: dict[str, dict[str, Any]] = {
    "mel bands in decibels": {},
    "decibels in mel bands": {"log_before_mel": True},
    "with A-weighting": PAPER,
    "mono": {"channels": "mono"},
    "the paper's, mono": {"channels": "mono", **PAPER},
    "mid-side": {"channels": "mid-side"},
    "the paper's, mid-side": {"channels": "mid-side", **PAPER},
    "magnitude": {"power": 1},
    "magnitude of the paper's": {"power": 1, **PAPER},
    "hann, shorter than the frame": {"win_length": 200},
    "hamming": {"window_function": "hamming"},
    "hamming, shorter than the frame, odd": {"window_function": "hamming", "win_length": 201},
    "even, no power of two": {"n_fft": 250, "win_length": 240},
    "odd": {"n_fft": 243, "hop_length": 99},
    "odd, with a step that divides the window": {"n_fft": 243},
    "odd, of the paper's": {"n_fft": 255, "win_length": 200, "hop_length": 99, **PAPER},
    "long": {"n_fft": 1000, "n_mels": 40},
    "a range of frequencies": {"fmin_hz": 50, "fmax_hz": 3500},
    "clipped early": {"top_db": 15},
    "clipped early, of the paper's": {"top_db": 15, **PAPER},
    "frames that overlap by nothing": {"hop_length": 300},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
@pytest.mark.parametrize("n", [N, N + 1])
def test_graph_agrees_with_log_mel(changes: dict[str, Any], n: int) -> None:
    features, window = config(**changes), WindowConfig(seconds=n / RATE)
    samples = noise(n, features.n_channels)
    expected = log_mel(samples, features, window)
    assert expected.shape == (features.n_channels, features.n_mels, features.n_frames(n))
    found = graph_log_mel(samples, features, window)
    assert found.shape == expected.shape
    # ONNX Runtime's transform is less exact if the length is not a power of two
    power_of_two = features.n_fft & (features.n_fft - 1) == 0
    assert np.abs(found - expected).max() < (1e-4 if power_of_two else 2e-3)


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_every_setting_changes_log_mel(changes: dict[str, Any]) -> None:
    samples = noise(N, config(**changes).n_channels)
    expected = LogMel(config(**changes))(samples)
    for key in changes.keys() - {"channels", "hop_length", "n_mels"}:  # these show in the shapes
        dropped = {key, "a_weighting"} if key == "log_before_mel" else {key}
        other = LogMel(config(**{name: value for name, value in changes.items() if name not in dropped}))(samples)
        frames = min(expected.shape[-1], other.shape[-1])
        assert np.abs(expected[..., :frames] - other[..., :frames]).max() > 0.05


def test_graph_of_silence_is_the_floor() -> None:
    window = WindowConfig(seconds=N / RATE)
    for changes in ({}, {"log_before_mel": True}, {"channels": "mono"}):
        features = config(**changes)
        nothing = np.zeros((features.n_channels, N), np.float32)
        found = graph_log_mel(nothing, features, window)
        assert np.abs(found - log_mel(nothing, features, window)).max() < 1e-3
        assert changes.get("log_before_mel") or np.abs(found + 100).max() < 1e-3


def test_graph_clips_each_channel_below_its_maximum() -> None:
    found = graph_log_mel(noise(), config(top_db=15), WindowConfig(seconds=N / RATE))
    spans = np.ptp(found, axis=(1, 2))
    assert spans == pytest.approx([15, 15], abs=1e-3)
    assert found[0].max() - found[1].max() > 5


def sounding(first: int, stop: int, channels: int, only: int | None = None, seed: int = 0) -> np.ndarray:
    """Make noise from `first` to `stop`, in all channels or in channel `only`, and zeros around it."""
    samples = np.zeros((channels, N), np.float32)
    rows = slice(None) if only is None else slice(only, only + 1)
    samples[rows, first:stop] = np.random.default_rng(seed).normal(0, 0.1, (channels, N))[rows, first:stop]
    return samples


SPANS = {
    "no silence": (0, N),
    "a silent start": (500, N),
    "a silent end": (0, 900),
    "silent ends": (400, 700),
    "silence": (0, 0),
    "a click": (800, 801),
    "a click at the start": (0, 1),
    "a click at the end": (N - 1, N),
    "a sound shorter than the minimum": (300, 350),
    "a sound of the minimum length": (300, 300 + MIN_SOUND),
    "a sound one sample shorter": (300, 300 + MIN_SOUND - 1),
    "a short one near the end": (N - 100, N - 20),
}
LAYOUTS = {
    "mono": ("mono", None),
    "stereo": ("stereo", None),
    "left only": ("stereo", 0),
    "right only": ("stereo", 1),
    "mid-side": ("mid-side", None),
    "mid-side of the right only": ("mid-side", 1),
}


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_graph_fills_silent_ends_as_windows_do(span: tuple[int, int], layout: tuple[str, int | None]) -> None:
    features = config(channels=layout[0], top_db=60)
    samples = sounding(*span, features.n_channels, layout[1])
    found = graph_log_mel(samples, features, FILLED)
    np.testing.assert_allclose(found, log_mel(samples, features, FILLED), atol=1e-3)
    unfilled = LogMel(features)(arrange_channels(samples, features.channels))
    assert (np.abs(found - unfilled).max() > 3) == (0 < span[1] - span[0] < N)


@example(first=0, length=N, level=1.0, tail_db=-59.0, channel=0)
@example(first=10, length=300, level=1e-4, tail_db=-61.0, channel=1)
@given(
    first=st.integers(0, N - 1),
    length=st.integers(1, N),
    level=st.sampled_from([1.0, 1e-3]),
    tail_db=st.sampled_from([-40.0, -59.0, -61.0, -80.0]),
    channel=st.integers(0, 1),
)
@settings(max_examples=60)
def test_graph_finds_sound_at_any_position(first: int, length: int, level: float, tail_db: float, channel: int) -> None:
    """The sound is a burst, and a sample near the window's end that counts as sound above -60 dB of the peak."""
    features = config(top_db=60)
    samples = level * sounding(first, min(first + length, N), 2, channel)
    samples[1 - channel, -5] = np.abs(samples).max() * 10 ** (tail_db / 20)
    np.testing.assert_allclose(graph_log_mel(samples, features, FILLED), log_mel(samples, features, FILLED), atol=1e-3)


def test_graph_allows_min_sound_longer_than_window() -> None:
    window = FILLED.model_copy(update={"min_sound_seconds": 9.0})
    for span in SPANS.values():
        samples = sounding(*span, 2)
        expected = LogMel(config(top_db=60))(samples)
        np.testing.assert_allclose(graph_log_mel(samples, config(top_db=60), window), expected, atol=1e-3)


def test_graph_uses_silence_threshold() -> None:
    samples = sounding(400, 700, 2)
    samples[0, 1200] = np.abs(samples).max() * 10 ** (-30 / 20)
    found = []
    for silence_db in (20, 40):
        window = FILLED.model_copy(update={"silence_threshold_db": silence_db})
        found.append(graph_log_mel(samples, config(top_db=60), window))
        np.testing.assert_allclose(found[-1], log_mel(samples, config(top_db=60), window), atol=1e-3)
    assert np.abs(found[0] - found[1]).max() > 3


def test_graph_sample_at_threshold_is_silent() -> None:
    window = FILLED.model_copy(update={"silence_threshold_db": 20.0})
    samples = sounding(400, 700, 2)
    samples[0, 500], samples[0, 1200] = 1.0, np.float32(0.1)
    found = graph_log_mel(samples, config(top_db=60), window)
    np.testing.assert_allclose(found, log_mel(samples, config(top_db=60), window), atol=1e-3)
    samples[0, 1200] = np.nextafter(np.float32(0.1), np.float32(1))
    louder = graph_log_mel(samples, config(top_db=60), window)
    np.testing.assert_allclose(louder, log_mel(samples, config(top_db=60), window), atol=1e-3)
    assert np.abs(louder - found).max() > 3


def test_to_onnx_with_front_end_takes_samples() -> None:
    model = tiny_model()
    front = FrontendGraph(model.features, model.window)
    complete = to_onnx(model.nodes, model.arrays, model.input_shape, front=front)
    network = to_onnx(model.nodes, model.arrays, model.input_shape)
    assert [value.name for value in complete.graph.input] == [WAVEFORM]
    samples = noise()
    running = [
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        for one in (complete, network)
    ]
    found = running[0].run([OUTPUT], {WAVEFORM: samples[None]})[0]
    expected = running[1].run([OUTPUT], {INPUT: LogMel(model.features)(samples)[None]})[0]
    assert found.shape == (1, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_frontend_macs_counts_transforms_and_bands() -> None:
    assert frontend_macs(config(hop_length=200), N) == (2 * 9 * 256 * 8, 2 * 9 * 129 * config().n_mels)
    mono = frontend_macs(config(hop_length=200, channels="mono", n_fft=1024), N)
    assert mono == (9 * 1024 * 10, 9 * 513 * config().n_mels)
