"""Parts of recordings: the samples of a file cut by hand, whatever its format."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.compressed import CompressedSound
from scenelet.audio.io import blocks, info, read
from scenelet.audio.segment import Segment
from scenelet.errors import AudioError

RATE = 16000
FORMATS = {
    "pcm.wav": ("WAV", "PCM_16"),
    "big.aiff": ("AIFF", "PCM_24"),
    "a.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.ogg": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "no_seek.wav": ("WAV", "GSM610"),
}
SPANS = [(0.0, 0.3), (1.23456, 2.5), (3.9, 4.0), (3.0, 99.0), (0.00001, 4.1)]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """4 s of noise in each format."""
    folder, found = tmp_path_factory.mktemp("segments"), {}
    noise = np.random.default_rng(1).normal(0, 0.1, 4 * RATE)
    for name, (format, subtype) in FORMATS.items():
        if soundfile.check_format(format, subtype):
            found[name] = folder / name
            soundfile.write(found[name], noise, 8000 if subtype == "GSM610" else RATE, format=format, subtype=subtype)
    return found


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("span", SPANS)
def test_read_segment_equals_slice_of_recording(
    recordings: dict[str, Path], name: str, span: tuple[float, float]
) -> None:
    if name not in recordings:
        pytest.skip(f"this libsndfile does not write {name}")
    complete, rate = read(recordings[name])
    part, part_rate = read(Segment(recordings[name], *span))
    assert part_rate == rate
    tolerance = 1e-6 if name == "a.mp3" else 0  # libmpg123 rounds differently after it has sought
    np.testing.assert_allclose(part, complete[:, round(span[0] * rate) : round(span[1] * rate)], 0, tolerance)


@pytest.mark.parametrize("block_frames", [1, 700, 1 << 18])
def test_blocks_of_segment_do_not_depend_on_block_size(recordings: dict[str, Path], block_frames: int) -> None:
    segment = Segment(recordings["a.flac"], 0.5, 0.6)
    parts = [samples for samples, _ in blocks(segment, block_frames=block_frames)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), read(segment)[0])
    assert max(part.shape[1] for part in parts) <= block_frames


def test_info_of_segment_has_its_length(recordings: dict[str, Path]) -> None:
    assert info(Segment(recordings["a.flac"], 0.5, 2.0)).seconds == 1.5
    assert info(Segment(recordings["a.flac"], 3.5, 9.0)).seconds == 0.5


@pytest.mark.parametrize("name", ["pcm.wav", "a.flac"])
def test_segment_behind_the_end_names_recording_and_times(recordings: dict[str, Path], name: str) -> None:
    with pytest.raises(AudioError, match=rf"{name}@5-6: begins after the recording has ended \(4.00 s\)"):
        read(Segment(recordings[name], 5.0, 6.0))


def test_segment_of_truncated_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(RATE) / 2, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"a.wav@0.8-0.9: "):
        read(Segment(path, 0.8, 0.9))


def test_segment_of_damaged_flac_has_the_time_of_the_recording(tmp_path: Path) -> None:
    """Frames are lost in a complete read, but not the place of what follows."""
    path = tmp_path / "a.flac"
    ramp = np.linspace(-0.5, 0.5, 8 * RATE)
    soundfile.write(path, ramp, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 4 + 60] = bytes(60)
    path.write_bytes(data)
    part, rate = read(Segment(path, 6.0, 6.5))
    np.testing.assert_allclose(part[0], ramp[6 * rate : round(6.5 * rate)], atol=1e-4)


def test_compressed_sound_after_a_skip_ends_without_notes(recordings: dict[str, Path]) -> None:
    with recordings["a.flac"].open("rb") as file:
        sound = CompressedSound(file)
        assert sound.skip(3 * RATE)
        assert len(sound.read(2 * RATE)[0]) == 4 * RATE
        assert sound.read(1) == (bytearray(), [])


def test_compressed_sound_that_cannot_seek_reads_from_its_start(recordings: dict[str, Path]) -> None:
    if "no_seek.wav" not in recordings:
        pytest.skip("this libsndfile does not write GSM")
    with recordings["no_seek.wav"].open("rb") as file, recordings["no_seek.wav"].open("rb") as other:
        sound = CompressedSound(file)
        assert not sound.skip(1000)
        assert sound.read(100) == CompressedSound(other).read(100)
