"""Tables of segments, which are refused, and times of complete recordings, which are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.data.load import load_table
from scenelet.errors import DataError


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a table next to a.wav and b.wav of 1 s."""
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(8000), 8000)

    def table(text: str, name: str = "clips.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return table


@pytest.mark.parametrize("columns", ["start,end", "onset,offset", "start_time,end_time", "Begin Time (s),End Time (s)"])
def test_times_of_complete_recordings_are_accepted(write: Callable[..., Path], columns: str) -> None:
    table = load_table(write(f"filename,label,{columns}\na.wav,x,0,1.0\nb.wav,y,,\n"))
    assert table.labels == ("x", "y")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "filename,start,end,label\na.wav,0.5,1.0,x\nb.wav,0,1,y\n",
            "line 2: start and end mark a part of a.wav; segm",
        ),
        (
            "filename,start,end,label\na.wav,0,1,x\nb.wav,0,0.5,y\n",
            "line 3: start and end mark a part of b.wav; segments",
        ),
        (
            "filename,onset,label\na.wav,0,x\na.wav,0.4,y\n",
            "line 3: onset mark a part of a.wav; .*cut each into a file",
        ),
        ("filename,start,end,label\na.wav,0,.4,x\na.wav,.4,1,y\n", "line 2: start and end mark a part of a.wav"),
    ],
    ids=["start", "end", "start only", "several rows"],
)
def test_parts_of_recordings_are_refused(write: Callable[..., Path], text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_table(write(text))


def test_times_of_day_are_noted(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    load_table(write("filename,label,start_time\na.wav,x,06:00\nb.wav,y,07:30\n"))
    assert "the times in start_time are not numbers of seconds and not used" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "0.100000\t0.500000\tdog\n0.500000\t1.000000\train\n",
        "Selection\tView\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\tSpectrogram 1\t0.45\t0.9\tsong\n",
        '# Segments csv created Sun Mar  5 10:54:31 2017\n# YTID, start_seconds\n--PJ, 30.0, 40.0, "/m/0"\n',
    ],
    ids=["Audacity", "Raven", "AudioSet"],
)
def test_files_of_other_programs_are_recognized(write: Callable[..., Path], text: str) -> None:
    path = write(text, "labels.txt")
    for given in (path, path.parent):
        with pytest.raises(DataError, match=r"labels.txt: labels parts of recordings; segments are not read yet; cut"):
            load_table(given)
