"""The scripts of the page's worker against the Python code that they follow. A browser runs them, without a model."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import tiny_model
from scenelet.audio.display import levels
from scenelet.audio.io import blocks
from scenelet.audio.log_mel import LogMel
from scenelet.audio.samples import arrange_channels
from scenelet.audio.silence import is_silent
from scenelet.audio.windows import WindowSplitter
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import AudioError
from scenelet.export.web.site import page_settings
from scenelet.inference.classifier import Classifier
from scenelet.inference.onnx_network import mel_to_onnx
from scenelet.inference.stream import PredictionSmoother, StreamPrediction
from scenelet.utils.html import text

SCRIPTS = ("sound.js", "windows.js", "stft.js", "spectrogram_reader.js", "smoother.js", "sample_rate.js")


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    """An empty page with the scripts, and a function that makes [Float32Array] of lists."""
    opened = browser.new_page()
    opened.add_script_tag(content="\n".join(text("scenelet.export.web", f"templates/{name}") for name in SCRIPTS))
    opened.add_script_tag(content="const floats = (rows) => rows.map((row) => Float32Array.from(row));")
    yield opened
    opened.close()


@pytest.mark.parametrize("layout", ["mono", "stereo", "mid-side", 2, 3])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels(page: Any, rng: np.random.Generator, layout: str | int, channels: int) -> None:
    samples = rng.normal(0, 0.1, (channels, 50)).astype(np.float32)
    code = "([rows, layout]) => arrangeChannels(floats(rows), layout).map((row) => [...row])"
    np.testing.assert_allclose(
        page.evaluate(code, [samples.tolist(), layout]), arrange_channels(samples, layout), atol=1e-7
    )


@pytest.mark.parametrize(("source", "target"), [(48000, 16000), (44100, 22050), (22050, 44100), (48000, 44100)])
def test_resampler(page: Any, source: int, target: int) -> None:
    """Tones below 0.9 of the lower Nyquist frequency keep their values. The size of the blocks does not matter."""

    def tones(rate: int) -> np.ndarray:
        t = np.arange(round(0.16 * rate)) / rate
        hz = min(source, target) / 2 * np.array([0.01, 0.2, 0.5, 0.9])
        fade = np.sin(np.pi * t / 0.16) ** 2
        return np.asarray(0.2 * fade * np.cos(2 * np.pi * hz[:, None] * t).sum(axis=0))

    sound = tones(source).astype(np.float32)
    code = """([samples, source, target, block]) => {
      const [resampler, output] = [new Resampler(source, target), []];
      for (let start = 0; start < samples.length; start += block) {
        output.push(...resampler.push(Float32Array.from(samples.slice(start, start + block))));
      }
      return [...output, ...resampler.finish()];
    }"""
    arguments = [sound.tolist(), source, target]
    found = np.array(page.evaluate(code, [*arguments, 700]))
    np.testing.assert_allclose(found, tones(target), atol=1e-5)
    np.testing.assert_array_equal(found, page.evaluate(code, [*arguments, len(sound)]))


@pytest.mark.parametrize("rest", [False, True], ids=["", "keep_rest"])
@pytest.mark.parametrize("mode", ["zeros", "repeat"])
@pytest.mark.parametrize("hop", [None, 0.05, 0.13])
def test_windows(page: Any, rng: np.random.Generator, hop: float | None, mode: str, rest: bool) -> None:
    features = FeatureConfig(sample_rate=1000, channels="stereo", n_fft=64, hop_length=30)
    window = WindowConfig(
        seconds=0.2, hop_seconds=hop, pad_mode=mode, keep_rest=rest, min_sound_seconds=0.05, min_last_fraction=0.2
    )
    model = tiny_model()
    settings = page_settings(Classifier(model), "")
    rule = {"length": 200, "hop": window.hop_samples(1000), "rest": window.rest_samples(features) if rest else None}
    rule |= {"minLast": 40.0, "repeat": {"ratio": 0.001, "minSamples": 50} if mode == "repeat" else None}
    assert set(rule) == set(settings["window"])
    code = """([rows, rule, block]) => {
      const [splitter, windows] = [new WindowSplitter(2, rule), []];
      for (let start = 0; start < rows[0].length; start += block) {
        windows.push(...splitter.push(floats(rows).map((row) => row.slice(start, start + block))));
      }
      return [...windows, ...splitter.finish()].map((window) => window.map((row) => [...row]));
    }"""
    for length in (5, 100, 199, 200, 215, 229, 230, 260, 400, 431, 600):
        samples = rng.normal(0, 0.1, (2, length)).astype(np.float32)
        samples[:, : length // 4] = 0
        splitter = WindowSplitter(1000, features, window)
        expected = [*splitter.push(samples), *splitter.finish()]
        found = page.evaluate(code, [samples.tolist(), rule, int(rng.integers(1, 300))])
        assert [np.shape(one) for one in found] == [one.shape for one in expected], length
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_array_equal(np.float32(theirs), ours)


def test_silence(page: Any, rng: np.random.Generator) -> None:
    rate, t = 8000, np.arange(8000) / 8000
    sounds = {
        "zeros": 0 * t,
        "offset": 0 * t + 0.3,
        "drift": 0.3 * t,
        "5 Hz": 0.3 * np.sin(2 * np.pi * 5 * t),
        "15 Hz": 0.01 * np.sin(2 * np.pi * 15 * t),
        "40 Hz": 0.001 * np.sin(2 * np.pi * 40 * t),
        "weak 40 Hz": 0.00005 * np.sin(2 * np.pi * 40 * t),
        "noise": rng.normal(0, 0.01, len(t)),
        "dither": rng.normal(0, 1e-5, len(t)),
        "short": (0.001 * np.sin(2 * np.pi * 40 * t))[:1000],
        "offset with a late hum": 0.3 + 0.001 * (t > 0.6) * np.sin(2 * np.pi * 40 * (t - 0.6)),
    }
    for name, sound in sounds.items():
        samples = np.stack([np.zeros_like(sound), sound]).astype(np.float32)
        found = page.evaluate("([rows, rate]) => isSilent(floats(rows), rate)", [samples.tolist(), rate])
        assert found is is_silent(samples, rate), name


def test_windows_are_cut_one_at_a_time(page: Any) -> None:
    code = """() => {
      const splitter = new WindowSplitter(1, { length: 100, hop: 10, rest: null, minLast: 0, repeat: null });
      const [first] = splitter.push([new Float32Array(1000)]);
      return [first[0].length, splitter.emitted];
    }"""
    assert page.evaluate(code) == [100, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window_function": "hamming", "win_length": 200},
        {"n_fft": 400, "hop_length": 160, "power": 1},
        {"n_fft": 333, "win_length": 300, "log_before_mel": True, "a_weighting": True},
    ],
    ids=str,
)
def test_log_mel(page: Any, rng: np.random.Generator, changes: dict[str, Any]) -> None:
    """The spectra of the page's script, through the graph of the site, equal `LogMel`."""
    import onnxruntime

    features = FeatureConfig(
        **{"sample_rate": 8000, "channels": "stereo", "n_fft": 256, "hop_length": 100, "n_mels": 20} | changes
    )
    samples = rng.normal(0, 0.1, (2, 1500)).astype(np.float32)
    settings = {"n_fft": features.n_fft, "hop_length": features.hop_length, "power": features.power}
    settings |= {"win_length": features.win_length or features.n_fft, "window_function": features.window_function}
    code = """([rows, settings]) => {
      const { data, dims } = makeStft(settings)(floats(rows));
      return { data: [...data], dims };
    }"""
    found = page.evaluate(code, [samples.tolist(), settings])
    power = np.float32(found["data"]).reshape(found["dims"])
    (log_mel,) = onnxruntime.InferenceSession(mel_to_onnx(features).SerializeToString()).run(None, {"power": power})
    np.testing.assert_allclose(log_mel[0], LogMel(features)(samples), atol=1e-3)


@pytest.mark.parametrize("has_known_sounds", [False, True])
def test_smoother(page: Any, rng: np.random.Generator, has_known_sounds: bool) -> None:
    labels = ("a", "b", "c")
    rows = rng.dirichlet(np.full(3, 0.4), 60).astype(np.float32)
    rows[[0, 20, 21]] = 0  # silence
    drawn = zip(rows, rng.random(60).tolist(), strict=True)
    similarities = [value if has_known_sounds and row.any() else None for row, value in drawn]
    smoother = PredictionSmoother(labels, (0.5, 0.7, math.inf), min_similarity=0.4)
    code = """([labels, rows, similarities]) => {
      const smoother = new PredictionSmoother(labels, [0.5, 0.7, null], 0.4);
      return rows.map((row, i) => smoother.update(0.7 * i, row, similarities[i]));
    }"""
    answers = set()
    for i, found in enumerate(page.evaluate(code, [labels, rows.tolist(), similarities])):
        expected = smoother.update(StreamPrediction(0.7 * i, rows[i], similarities[i]))
        answers.add(expected.label)
        assert (found["label"], found["changed"]) == (expected.label, expected.changed)
        assert found["confidence"] == pytest.approx(expected.confidence)
        np.testing.assert_allclose(found["smoothed"], list(expected.probabilities.values()))
    assert {"a", "silence", None} <= answers


def test_spectrogram(page: Any, rng: np.random.Generator) -> None:
    """The picture of a few pieces: their frames without reflected ends, cropped to the sound, as gray levels."""
    log_mel = rng.normal(-40, 20, (3, 2, 5, 11)).astype(np.float32)
    code = """([pieces, seconds]) => {
      const reader = new SpectrogramReader(seconds, { seconds: 2, edge_frames: 1 }, 80);
      for (const data of pieces) reader.add({ data, dims: [1, 2, 5, 11] });
      const image = reader.image();
      return { ...image, levels: [...image.levels] };
    }"""
    found = page.evaluate(code, [[piece.ravel().tolist() for piece in log_mel], 5.0])
    mean = log_mel.mean(axis=1)[:, :, :-1]
    mean[:, :, 0], mean[:, :, -1] = mean[:, :, 1], mean[:, :, -2]
    joined = np.concatenate(list(mean), axis=1)[:, :25]
    assert (found["bands"], found["frames"], found["seconds"]) == (5, 25, 5)
    top = joined.max()
    expected = levels(joined, max(joined.min(), top - 80), top)
    assert np.abs(np.reshape(found["levels"], (5, 25)) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("name", "rate"),
    [("a.wav", 22050), ("a.flac", 96000), ("a.mp3", 24000), ("b.mp3", 48000), ("a.ogg", 16000), ("a.aiff", None)],
)
def test_sample_rate(page: Any, tmp_path: Any, rng: np.random.Generator, name: str, rate: int | None) -> None:
    soundfile.write(tmp_path / name, rng.normal(0, 0.1, 20000), rate or 8000)
    data = list((tmp_path / name).read_bytes()[:3000])
    assert page.evaluate("(bytes) => readSampleRate(Uint8Array.from(bytes))", data) == rate


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF....WAVEfmt ", b"OggS", b"fLaC", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\xff"]
)
def test_sample_rate_of_fragments(page: Any, data: bytes) -> None:
    assert page.evaluate("(bytes) => readSampleRate(Uint8Array.from(bytes))", list(data)) is None


@pytest.mark.parametrize(("kept", "truncated"), [(1.0, False), (0.995, False), (0.95, True), (0.5, True)])
def test_truncated_wav(page: Any, tmp_path: Any, rng: np.random.Generator, kept: float, truncated: bool) -> None:
    soundfile.write(tmp_path / "a.wav", rng.normal(0, 0.1, 20000), 8000)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: round(kept * len(data))])
    cut = list((tmp_path / "a.wav").read_bytes())
    assert page.evaluate("(bytes) => isTruncatedWav(Uint8Array.from(bytes))", cut) is truncated
    if truncated:
        with pytest.raises(AudioError, match="truncated"):
            list(blocks(tmp_path / "a.wav"))
    else:
        list(blocks(tmp_path / "a.wav"))


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF....WAVEdata", b"RIFF....WAVEdata\xff\xff\xff\xff", b"OggS"])
def test_no_other_file_is_a_truncated_wav(page: Any, data: bytes) -> None:
    assert page.evaluate("(bytes) => isTruncatedWav(Uint8Array.from(bytes))", list(data)) is False
