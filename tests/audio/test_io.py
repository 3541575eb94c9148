"""A recording in an open file is the same as on disk, and so are its faults."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import tiny_model
from scenelet.audio import io as recordings
from scenelet.errors import AudioError, EmptyAudioError, TooLongError, TruncatedAudioError
from scenelet.inference.classifier import Classifier

FORMATS = [
    ("a.wav", "PCM_24"),
    ("b.wav", "PCM_16"),
    ("c.wav", "FLOAT"),
    ("d.flac", None),
    ("e.ogg", None),
    ("f.mp3", None),
]


@pytest.fixture
def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((50_000, 2))


@pytest.mark.parametrize(("name", "subtype"), FORMATS)
def test_samples_and_answers_are_the_same(tmp_path: Path, noise: np.ndarray, name: str, subtype: str | None) -> None:
    path = tmp_path / name
    soundfile.write(path, noise, 16000, subtype=subtype)
    on_disk, rate = recordings.read(path)
    classifier = Classifier(tiny_model(), threads=2)
    with path.open("rb") as file:
        file.seek(1000)  # wherever it stands
        samples, same_rate = recordings.read(file)
        assert not file.closed
        answer = classifier.predict(file, alone=True)
    assert samples.tobytes() == on_disk.tobytes()
    assert rate == same_rate == 16000
    assert answer.windows.tolist() == classifier.predict(path).windows.tolist()
    in_memory = classifier.predict_many([io.BytesIO(path.read_bytes()), path])
    assert [one.label for one in in_memory] == [answer.label] * 2  # type: ignore[union-attr]


def test_faults_name_the_file_where_it_has_a_name(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "whole.wav"
    soundfile.write(path, noise, 16000)
    cut = io.BytesIO(path.read_bytes()[:-10])
    with pytest.raises(TruncatedAudioError, match="the recording: 10 of 200000 bytes"):
        recordings.info(cut)
    cut.name = "street.wav"
    with pytest.raises(TruncatedAudioError, match=r"^street.wav: 10 of"):
        recordings.info(cut)
    with pytest.raises(EmptyAudioError, match="the file is empty"):
        recordings.info(io.BytesIO())
    with pytest.raises(AudioError, match="not a recording that can be read"):
        recordings.info(io.BytesIO(b"some text, no sound"))


def test_a_recording_that_is_too_long_is_refused_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(3 * recordings.BLOCK), 8000)
    seconds = 3 * recordings.BLOCK / 8000
    assert sum(block.shape[1] for block, _ in recordings.blocks(path, seconds)) == 3 * recordings.BLOCK
    read = []
    with pytest.raises(TooLongError, match="is longer than 40 s"):
        read.extend(recordings.blocks(path, 40))
    assert len(read) == 1  # what would exceed it is not handed out


def test_blocks_of_a_low_rate_are_short(tmp_path: Path) -> None:
    """Resampled to a model's rate, a block of as many samples as elsewhere would be a hundred times as long."""
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100 * 500), 500)
    lengths = [block.shape[1] for block, _ in recordings.blocks(path)]
    assert max(lengths) == recordings.BLOCK_SECONDS * 500
    assert sum(lengths) == 100 * 500
