"""Tests of reading recordings from paths and open files."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio import io as recordings
from scenelet.errors import AudioError, EmptyAudioError, TooLongError, TruncatedAudioError

Write = Callable[..., Path]
FORMATS = [
    ("a.wav", "PCM_24"),
    ("b.wav", "PCM_16"),
    ("c.wav", "FLOAT"),
    ("d.flac", None),
    ("e.ogg", None),
    ("f.mp3", None),
]


@pytest.mark.parametrize(("name", "subtype"), FORMATS)
def test_read_str_path_and_open_file_agree(tmp_path: Path, name: str, subtype: str | None) -> None:
    path = tmp_path / name
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((50_000, 2)), 16000, subtype=subtype)
    samples, rate = recordings.read(path)
    assert rate == 16000
    with path.open("rb") as file:
        file.seek(1000)  # reading starts at the beginning from wherever it is
        from_file, _ = recordings.read(file)
        assert not file.closed
    assert from_file.tobytes() == samples.tobytes()
    assert recordings.read(str(path))[0].tobytes() == samples.tobytes()
    assert recordings.read(io.BytesIO(path.read_bytes()))[0].tobytes() == samples.tobytes()
    assert recordings.info(str(path)) == recordings.info(path)


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 15), ("PCM_24", 23), ("PCM_32", 31), ("FLOAT", 24)])
@pytest.mark.parametrize("channels", [1, 2])
def test_read_wav_is_exact(write_wav: Write, rng: np.random.Generator, subtype: str, bits: int, channels: int) -> None:
    sound = rng.uniform(-0.9, 0.9, (channels, 5000)).astype(np.float32)
    samples, rate = recordings.read(write_wav(sound, 48000, subtype=subtype))
    assert (rate, samples.dtype, samples.shape) == (48000, np.float32, sound.shape)
    assert np.abs(samples - sound).max() <= 2.0 ** -min(bits, 24)


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
def test_read_compressed_format_keeps_tone(tmp_path: Path, extension: str) -> None:
    t = np.arange(44100) / 44100
    path = tmp_path / f"tone.{extension}"
    soundfile.write(path, np.stack([0.5 * np.sin(2 * np.pi * 1000 * t)] * 2, 1), 44100)
    samples, rate = recordings.read(path)
    spectrum = np.abs(np.fft.rfft(samples[0, : rate // 2]))
    assert samples.shape[0] == 2
    assert np.argmax(spectrum) * 2 == pytest.approx(1000, abs=4)


def test_info_error_calls_open_file_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "complete.wav"
    soundfile.write(path, np.zeros((50_000, 2)), 16000)
    truncated = io.BytesIO(path.read_bytes()[:-50_000])
    with pytest.raises(
        TruncatedAudioError, match=r"the recording: 50000 of 200000 bytes of sound are missing \(2.3 s of"
    ):
        recordings.info(truncated)
    truncated.name = "street.wav"
    with pytest.raises(TruncatedAudioError, match=r"^street.wav: 50000 of"):
        recordings.info(truncated)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [(b"", EmptyAudioError, "the file is empty"), (b"some text", AudioError, "not a recording that can be read")],
)
def test_info_invalid_open_file_raises(data: bytes, error: type[AudioError], message: str) -> None:
    with pytest.raises(error, match=message):
        recordings.info(io.BytesIO(data))


def test_blocks_longer_than_max_seconds_raises(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(3000), 1000)
    assert sum(block.shape[1] for block, _ in recordings.blocks(path, 3, block_frames=1000)) == 3000
    read = []
    with pytest.raises(TooLongError, match=r"is longer than 1\.5 s"):
        read.extend(recordings.blocks(path, 1.5, block_frames=1000))
    assert len(read) == 1  # the block that exceeds the limit is not yielded


def test_blocks_of_low_rate_are_short(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100 * 500), 500)
    lengths = [block.shape[1] for block, _ in recordings.blocks(path)]
    assert max(lengths) == recordings.MAX_BLOCK_SECONDS * 500
    assert sum(lengths) == 100 * 500


def test_blocks_error_names_file_in_one_line(tmp_path: Path, write_wav: Write, rng: np.random.Generator) -> None:
    good = write_wav(rng.uniform(-0.5, 0.5, (1, 8000)).astype(np.float32), 8000, "good.wav", "PCM_16")
    truncated = tmp_path / "truncated.wav"
    truncated.write_bytes(good.read_bytes()[:9000])
    text = tmp_path / "text.wav"
    text.write_text("this is not sound\n" * 50)
    (tmp_path / "empty.wav").touch()
    cases = {
        tmp_path / "absent.wav": "no such file",
        tmp_path: "not a file",
        tmp_path / "empty.wav": "empty",
        text: "not a recording",
        truncated: "the file is truncated",
        write_wav(np.zeros((65, 100), np.float32), 8000, "many.wav"): "65 channels",
        write_wav(np.full((1, 100), np.nan, np.float32), 8000, "nan.wav"): "not finite",
        write_wav(np.zeros((1, 0), np.float32), 8000, "none.wav"): "no samples",
    }
    for path, message in cases.items():
        with pytest.raises(AudioError, match=message) as caught:
            list(recordings.blocks(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_read_wav_of_unknown_size_reaches_end(write_wav: Write, size: int) -> None:
    path = write_wav(np.zeros((1, 300000), np.float32), 8000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    offset = data.index(b"data") + 4
    data[offset : offset + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    assert recordings.read(path)[0].shape == (1, 300000)


def test_read_flac_of_unknown_length_reaches_end(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "piped.flac"
    soundfile.write(path, rng.uniform(-0.5, 0.5, 300000), 44100)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO for the number of samples; 0 means unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert recordings.read(path)[0].shape[1] == 300000


def test_blocks_unreadable_file_raises(write_wav: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(np.zeros((1, 100), np.float32), 8000)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(AudioError, match=r"clip\.wav: cannot be read \(Permission denied\)"):
        list(recordings.blocks(path))


def test_blocks_truncated_flac_raises(tmp_path: Path, rng: np.random.Generator) -> None:
    complete, truncated = tmp_path / "complete.flac", tmp_path / "truncated.flac"
    soundfile.write(complete, rng.uniform(-0.5, 0.5, 200000), 44100)
    truncated.write_bytes(complete.read_bytes()[: complete.stat().st_size // 2])
    with pytest.raises(AudioError, match=str(truncated)):
        list(recordings.blocks(truncated))


def test_info_of_real_recordings(esc10: Path, tau: Path) -> None:
    clip = recordings.info(next((tau / "clips").glob("*.flac")))
    assert (clip.sample_rate, clip.channels, clip.seconds) == (48000, 2, 10.0)
    dog = recordings.info(esc10 / "audio" / "1-100032-A.ogg")
    assert (dog.sample_rate, dog.channels) == (44100, 1)


def test_summarize_audio_errors_quotes_the_first_three() -> None:
    errors = [AudioError(f"{name}.wav: empty") for name in "abcd"]
    summary = str(recordings.summarize_audio_errors(errors, 1000))
    assert summary.startswith("4 of 1,000 recordings cannot be read")
    assert "(3) c.wav: empty" in summary
    assert "d.wav" not in summary


def test_find_recordings_says_what_it_passes_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.wav", "b.AIFF", "deep/c.opus", "d.m4a", "deep/e.M4A", "f.wv", ".g.m4a", "notes.txt", "t.csv"):
        (tmp_path / name).touch()
    found = recordings.find_recordings(tmp_path)
    assert [path.name for path in found] == ["a.wav", "b.AIFF", "c.opus"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path}: 3 recordings passed over (2 .m4a, 1 .wv), convert them; only WAV, FLAC, Ogg")
    (tmp_path / "d.m4a").unlink()
    assert recordings.search_folder(tmp_path)[1] == {".m4a": 1, ".wv": 1}


def test_find_recordings_without_others_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.wav", "notes.txt", ".DS_Store", "labels.csv"):
        (tmp_path / name).touch()
    assert len(recordings.find_recordings(tmp_path)) == 1
    assert capsys.readouterr().err == ""


def test_blocks_print_each_note_once_and_not_too_many(
    tmp_path: Path, write_wav: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_printed", set())
    data = bytearray(write_wav(np.zeros((1, 8000), np.float32), 8000, subtype="PCM_16").read_bytes())
    size = data.index(b"data") + 4
    data[size : size + 4] = bytes(4)
    paths = [tmp_path / f"{number}.wav" for number in range(30)]
    for path in (*paths, *paths):
        path.write_bytes(data)
        assert recordings.read(path)[0].shape == (1, 8000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{paths[0]}: its header states 0 bytes of sound, but 16,000 are there and used"
    assert len(lines) == recordings.MAX_PRINTED_NOTES + 1
    assert lines[-1] == "more recordings have odd headers; `scenelet check` lists all"


@pytest.mark.parametrize(("scale", "notes"), [(1.0, 0), (3.0, 0), (32768.0, 1)])
def test_blocks_note_integers_stored_as_floating_point(tmp_path: Path, scale: float, notes: int) -> None:
    samples, printed = np.sin(np.arange(8000) / 5) * scale, list[str]()
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    list(recordings.blocks(tmp_path / "a.wav", on_note=printed.append))
    assert len(printed) == notes
    assert all("a.wav: its samples are up to 32,768 times full scale" in note for note in printed)


def test_info_mp3_shorter_than_a_frame_raises(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", np.sin(np.arange(8000) / 5), 44100)
    (tmp_path / "a.mp3").write_bytes((tmp_path / "a.mp3").read_bytes()[:100])
    with pytest.raises(TruncatedAudioError, match=r"a\.mp3: ends before its first sound; copy or record it again$"):
        recordings.info(tmp_path / "a.mp3")
