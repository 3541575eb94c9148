"""Odd names and odd files in folders: one line per fault, and no file is skipped silently."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.odd_cases import cases
from helpers.odd_recordings import READ, wav

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write recordings with unusual names, and special files such as pipes."""
    (tmp_path / "odd").mkdir()
    for case in cases():
        if case.kind in ("names of any kind", "what is no file"):
            case.make(tmp_path / "odd" / case.name)
    return tmp_path / "odd"


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_predict_folder_with_odd_names(command: Command, model: Path, folder: Path, format: str) -> None:
    code, out, err = command("predict", model, folder, "--format", format)
    lines = err.splitlines()
    assert code == 1
    assert f"error: {folder}/bad\\nname.wav: the file is empty; copy or record it again" in lines
    assert f"{folder}/pipe.wav: not a file, skipped" in lines
    good = sum(case.kind == "names of any kind" and case.says == READ for case in cases())
    if format == "table":
        assert len(out.splitlines()) == good
        assert "\x1b" not in out
    elif format == "json":
        assert f"{folder}/two\nlines.wav" in [row["file"] for row in json.loads(out)]
    else:
        assert f"{folder}/two\nlines.wav" in [row["file"] for row in csv.DictReader(out.splitlines(keepends=True))]
        assert "\ufffd" not in out  # a byte outside UTF-8 is escaped as in JSON, so that the path stays usable


def test_predict_not_a_file_is_an_error(command: Command, model: Path, folder: Path) -> None:
    for case in cases():
        if case.kind == "what is no file":
            code, _, err = command("predict", model, folder / case.name)
            assert (code, err.splitlines()[0][:7], case.says in err) == (1, "error: ", True)


def test_predict_name_that_begins_with_a_dash(
    command: Command, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, _, err = command("predict", model, "-x.wav")
    assert (code, "no such option: -x; for the file give ./-x.wav (see" in err) == (2, True)
    for given in (["./-x.wav"], ["--", "-x.wav"]):
        assert command("predict", model, *given)[0] == 0


def test_predict_out_names_skipped_files_once(command: Command, model: Path, folder: Path, tmp_path: Path) -> None:
    code, _, err = command("predict", model, folder, "--out", tmp_path / "refused")
    assert (code, "its name is not valid UTF-8; rename the file" in err) == (1, True)
    (folder / os.fsdecode(b"caf\xe9.wav")).unlink()
    code, _, err = command("predict", model, folder, "--out", tmp_path / "results", "--workers", 1)
    assert code == 0
    assert err.count("pipe.wav: not a file, skipped") == 1
    assert "bad\\nname.wav: the file is empty" in err


def test_check_and_evaluate_name_unreadable_files(command: Command, model: Path, tmp_path: Path) -> None:
    for name, label in {"a\n1.wav": "indoor", "b.wav": "outdoor", "c\nd.wav": "indoor", "e.wav": "outdoor"}.items():
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / label / name).write_bytes(wav() if name < "c" else b"")
    os.mkfifo(tmp_path / "data" / "indoor" / "pipe.wav")
    code, out, err = command("check", tmp_path / "data", "--window", "1")
    unreadable = [line for line in out.splitlines() if line.startswith(("error   empty", "error   unreadable"))]
    assert (code, len(unreadable)) == (1, 2)
    assert "c\\nd.wav: the file is empty" in out
    assert "pipe.wav: not a file, skipped" in err
    assert "a\\n1.wav: 0.10 s, less than half" in out
    code, _, err = command("evaluate", model, tmp_path / "data", "--split", "all")
    last = err.splitlines()[-1]
    assert (code, last[:60]) == (1, "error: 2 of 4 recordings cannot be read, `scenelet check` li")
    assert "c\\nd.wav" in last
    assert "e.wav" in last
