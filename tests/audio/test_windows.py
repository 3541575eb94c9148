"""Reading, channel layouts and the one window rule."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.audio import io as recordings
from scenelet.audio import windows as audio
from scenelet.config import WindowConfig
from scenelet.errors import AudioError

Write = Callable[..., Path]


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 15), ("PCM_24", 23), ("PCM_32", 31), ("FLOAT", 24)])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_is_read_exactly(
    write_wav: Write, rng: np.random.Generator, subtype: str, bits: int, channels: int
) -> None:
    sound = rng.uniform(-0.9, 0.9, (channels, 5000)).astype(np.float32)
    samples, rate = recordings.read(write_wav(sound, 48000, subtype=subtype))
    assert (rate, samples.dtype, samples.shape) == (48000, np.float32, sound.shape)
    assert np.abs(samples - sound).max() <= 2.0 ** -min(bits, 24)


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
def test_compressed_formats_keep_a_tone(tmp_path: Path, extension: str) -> None:
    t = np.arange(44100) / 44100
    path = tmp_path / f"tone.{extension}"
    soundfile.write(path, np.stack([0.5 * np.sin(2 * np.pi * 1000 * t)] * 2, 1), 44100)
    samples, rate = recordings.read(path)
    spectrum = np.abs(np.fft.rfft(samples[0, : rate // 2]))
    assert samples.shape[0] == 2
    assert np.argmax(spectrum) * 2 == pytest.approx(1000, abs=4)


def test_mono_is_the_mean_and_stereo_repeats() -> None:
    two = np.array([[1.0, 0.0], [0.0, 0.5]], np.float32)
    assert audio.arrange_channels(two, "mono").tolist() == [[0.5, 0.25]]
    assert audio.arrange_channels(two[:1], "stereo").tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert audio.arrange_channels(two, "mid-side").tolist() == [[0.5, 0.25], [0.5, -0.25]]


@given(
    total=st.integers(1, 4000),
    seconds=st.floats(0.1, 1.0),
    overlap=st.floats(0.1, 1.0),
    min_tail=st.floats(0.0, 0.3),
    cuts=st.lists(st.integers(1, 700), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_windows_do_not_depend_on_how_sound_arrives(
    total: int, seconds: float, overlap: float, min_tail: float, cuts: list[int]
) -> None:
    rule = WindowConfig(seconds=seconds, hop_seconds=seconds * overlap, min_last_fraction=min_tail)
    sound = np.arange(1, total + 1, dtype=np.float32)[None]
    whole = list(audio.windows_of_array(sound, 1000, 1000, "mono", rule))
    windower, pieces, start = audio.WindowSplitter(1000, 1000, "mono", rule), [], 0
    while start < total:
        for cut in cuts:
            pieces += list(windower.push(sound[:, start : start + cut]))
            start += cut
    pieces += list(windower.finish())
    assert len(whole) == len(pieces) == rule.count(total, 1000)
    hop = rule.hop_samples(1000)
    for i, (window, piece) in enumerate(zip(whole, pieces, strict=True)):
        assert np.array_equal(window, piece)
        expected = np.zeros(rule.samples(1000), np.float32)
        part = sound[0, i * hop : i * hop + len(expected)]
        expected[: len(part)] = part
        assert np.array_equal(window[0], expected)


@given(
    cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=4), rates=st.sampled_from([(48000, 22050), (16000, 22050)])
)
@settings(deadline=None, max_examples=20)
def test_resampling_does_not_depend_on_chunks(cuts: list[int], rates: tuple[int, int]) -> None:
    sound = np.random.default_rng(1).standard_normal((2, 30000)).astype(np.float32)
    rule = WindowConfig(seconds=0.1)
    whole = list(audio.windows_of_array(sound, *rates, "stereo", rule))
    windower, pieces, start = audio.WindowSplitter(*rates, "stereo", rule), [], 0
    while start < sound.shape[1]:
        for cut in cuts:
            pieces += list(windower.push(sound[:, start : start + cut]))
            start += cut
    pieces += list(windower.finish())
    assert np.array_equal(np.stack(whole), np.stack(pieces))


@given(
    frames=st.integers(1, 700),
    channels=st.integers(1, 2),
    block=st.integers(1, 300),
    seed=st.integers(0, 99),
    head=st.sampled_from(["WAV", "WAVEX"]),
)
@settings(deadline=None)
def test_24_bits_are_read_as_by_libsndfile(frames: int, channels: int, block: int, seed: int, head: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "BLOCK", block)
        path = Path(folder) / "24.wav"
        values = np.random.default_rng(seed).integers(-(2**31), 2**31, (frames, channels)).astype(np.int32)
        values[0] = -(2**31)
        soundfile.write(path, values, 8000, format=head, subtype="PCM_24")
        with path.open("ab") as file:  # a chunk that follows the sound is not sound
            file.write(b"note\x08\x00\x00\x00ABCDEFGH")
        samples, rate = recordings.read(path)
        assert (samples.dtype, rate) == (np.float32, 8000)
        assert np.array_equal(samples, soundfile.read(path, dtype="float32", always_2d=True)[0].T)


@pytest.mark.parametrize("channels", ["mono", "stereo", "mid-side"])
@pytest.mark.parametrize("rate", [22050, 48000])
def test_threads_do_not_change_a_sample(write_wav: Write, channels: str, rate: int) -> None:
    sound = np.random.default_rng(1).standard_normal((2, 7 * recordings.BLOCK // 2)).astype(np.float32) * 0.1
    path, rule = write_wav(sound, rate), WindowConfig(seconds=3.0, hop_seconds=1.0)
    alone = np.stack(list(audio.windows_of_file(path, 22050, channels, rule)))
    assert len(alone) > 3
    for threads in (2, 3):
        assert np.array_equal(np.stack(list(audio.windows_of_file(path, 22050, channels, rule, threads))), alone)


def test_a_short_tail_is_left_out_and_a_long_one_padded() -> None:
    rule = WindowConfig(seconds=1.0, min_last_fraction=0.05)
    assert [rule.count(n, 1000) for n in (1, 1000, 1050, 1051, 2000, 2050, 2051)] == [1, 1, 1, 2, 2, 2, 3]


def test_resampling_keeps_a_tone(write_wav: Write) -> None:
    t = np.arange(48000) / 48000
    path = write_wav(np.sin(2 * np.pi * 3000 * t)[None].astype(np.float32) * 0.5, 48000)
    (window,) = audio.windows_of_file(path, 22050, "mono", WindowConfig(seconds=1.0))
    middle = window[0, 2000:20000]
    expected = 0.5 * np.sin(2 * np.pi * 3000 * np.arange(22050) / 22050)[2000:20000]
    assert np.abs(middle - expected).max() < 1e-3


def test_each_bad_file_has_its_sentence(tmp_path: Path, write_wav: Write, rng: np.random.Generator) -> None:
    good = write_wav(rng.uniform(-0.5, 0.5, (1, 8000)).astype(np.float32), 8000, "good.wav", "PCM_16")
    cut = tmp_path / "cut.wav"
    cut.write_bytes(good.read_bytes()[:9000])
    text = tmp_path / "text.wav"
    text.write_text("this is not sound\n" * 50)
    (tmp_path / "empty.wav").touch()
    many = write_wav(np.zeros((3, 100), np.float32), 8000, "many.wav")
    nan = write_wav(np.full((1, 100), np.nan, np.float32), 8000, "nan.wav")
    none = write_wav(np.zeros((1, 0), np.float32), 8000, "none.wav")
    cases = {
        tmp_path / "absent.wav": "no such file",
        tmp_path: "not a file",
        tmp_path / "empty.wav": "empty",
        text: "not a recording",
        cut: "cut short",
        many: "3 channels",
        nan: "not finite",
        none: "no samples",
    }
    for path, words in cases.items():
        with pytest.raises(AudioError, match=words) as caught:
            list(recordings.blocks(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_of_unknown_length_is_read_to_its_end(write_wav: Write, rng: np.random.Generator, length: int) -> None:
    path = write_wav(rng.uniform(-0.5, 0.5, (1, 300000)).astype(np.float32), 8000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)
    assert recordings.read(path)[0].shape == (1, 300000)


def test_a_flac_of_unknown_length_is_read_nearly_to_its_end(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "piped.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, 300000), 44100)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples: 0 is unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert 300000 - 256 < recordings.read(path)[0].shape[1] <= 300000


def test_an_unreadable_file_has_its_sentence(
    write_wav: Write, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_wav(rng.uniform(-0.5, 0.5, (1, 100)).astype(np.float32), 8000)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(AudioError, match=r"clip\.wav: cannot be read \(Permission denied\)"):
        list(recordings.blocks(path))


def test_a_flac_that_was_cut_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    whole, cut = tmp_path / "whole.flac", tmp_path / "cut.flac"
    soundfile.write(whole, rng.uniform(-0.5, 0.5, 200000), 44100)
    cut.write_bytes(whole.read_bytes()[: os.path.getsize(whole) // 2])
    with pytest.raises(AudioError, match=str(cut)):
        list(recordings.blocks(cut))


def test_real_recordings_are_read(esc10: Path, tau: Path) -> None:
    clip = recordings.info(next((tau / "clips").glob("*.flac")))
    assert (clip.sample_rate, clip.channels, clip.seconds) == (48000, 2, 10.0)
    dog = recordings.info(esc10 / "audio" / "1-100032-A.ogg")
    assert (dog.sample_rate, dog.channels) == (44100, 1)
    rule = WindowConfig(seconds=5.0)
    for path in sorted((esc10 / "audio").glob("1-1*.ogg")):
        header = recordings.info(path)
        windows = list(audio.windows_of_file(path, 22050, "mono", rule))
        # nearly all are 5 s and a few encoder samples: one window, not one and a silent second
        assert len(windows) == (1 if header.seconds < 5.25 else 2)
