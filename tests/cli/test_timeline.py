"""`scenelet timeline`: folders, messages and exit codes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Command = Callable[..., tuple[int, str, str]]
RATE = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sd" / "may").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("20240501_053000.wav", "may/20240502_053000.wav"):
        soundfile.write(tmp_path / "sd" / name, 0.1 * rng.standard_normal(2 * RATE), RATE, subtype="PCM_16")
    return tmp_path / "sd"


def test_timeline_of_a_folder_and_again(command: Command, model: Path, folder: Path, tmp_path: Path) -> None:
    asked = ("timeline", model, folder, "--out", tmp_path / "out", "--threshold", 0)
    code, out, err = command(*asked)
    assert (code, out) == (0, "")
    assert f"written: {tmp_path / 'out' / 'timeline.html'}" in err
    assert "in 2 recordings)" in err
    before = (tmp_path / "out" / "segments.csv").read_text()
    assert before.count("20240501_053000.wav") >= 1
    assert command(*asked, "--quiet") == (0, "", "")
    assert (tmp_path / "out" / "segments.csv").read_text() == before
    soundfile.write(folder / "new.flac", np.ones(RATE) / 9, RATE)
    assert "out: 2 of 3 recordings are done; resuming" in command(*asked)[2]
    code, out, err = command(*asked[:-1], 0.5)
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path / 'out'}: holds a timeline with another --threshold; choose another --out\n"


def test_timeline_exits_with_1_if_a_recording_fails(
    command: Command, model: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "empty.wav").touch()
    (tmp_path / "nothing").mkdir()
    code, out, err = command("timeline", model, folder, tmp_path / "nothing", "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [line.partition(": ")[2].partition(": ")[0] for line in errors] == [
        str(tmp_path / "nothing"),
        str(folder / "empty.wav"),
    ]
    assert (tmp_path / "out" / "timeline.html").is_file()


def test_timeline_without_any_recording_writes_no_page(command: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    code, _, err = command("timeline", model, tmp_path / "nothing", "--out", tmp_path / "out")
    assert (code, err.count("error: ")) == (1, 1)
    assert not (tmp_path / "out" / "timeline.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hop", "3"], "a hop of 3 s; give one from 0.05 s up to the window's 0.2 s"),
        (["--threshold", "7"], "--threshold 7: give a probability from 0 to 1"),
        (["--margin", "7"], "--margin 7: give a probability from 0 to 1"),
        (["--smoothing", "-1"], "--smoothing -1: give seconds, 0 or more"),
        (["--min-seconds", "-1"], "min-seconds"),
        (["-"], "-: timeline reads files"),
    ],
)
def test_timeline_wrong_arguments_are_refused(
    command: Command, model: Path, folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = command("timeline", model, folder, "--out", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()
