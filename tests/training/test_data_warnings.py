"""Warnings about the data that `train` prints and writes to `warnings.json`."""

import json
import os
from pathlib import Path

import pytest
import soundfile

from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import WARNINGS
from scenelet.data.audit import statistics
from scenelet.data.audit.findings import Finding
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.training.data_warnings import print_data_warnings, warning_lines
from scenelet.training.train import train
from scenelet.utils import parallel


def test_train_offset_recording_is_printed_and_stored_once(
    tone_set: Path,
    tmp_path: Path,
    tiny_settings: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in tone_set.parent.iterdir():
        os.link(path, tmp_path / path.name)
    samples, rate = soundfile.read(tmp_path / "low3.wav")
    (tmp_path / "low3.wav").unlink()
    soundfile.write(tmp_path / "low3.wav", samples + 0.2, rate)
    monkeypatch.setattr(parallel, "MIN_PROCESS_ITEMS", 100)  # starting processes takes longer than the work
    config = load_recipe("paper_short", [*tiny_settings, "schedule.epochs=1", 'split.fold="1"'])
    train(tmp_path / "tones.csv", tmp_path / "run", config)
    messages = capfd.readouterr().err
    assert "1 offset" in messages
    assert f"`scenelet check {tmp_path / 'tones.csv'}` lists them" in messages
    (offset,) = (f for f in json.loads((tmp_path / "run" / WARNINGS).read_text()) if f["kind"] == "offset")
    assert offset["clips"] == ["low3.wav"]

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} is measured twice")

    monkeypatch.setattr(statistics, "recording_stats", refuse)
    table = load_table(tmp_path / "tones.csv")
    split = make_split(table, config.split)
    for expected in (True, False):  # a run that has its warnings, such as a resumed one, prints none
        print_data_warnings(tmp_path, table, split, 0.6)
        assert ("1 offset" in capfd.readouterr().err) == expected
    assert (tmp_path / WARNINGS).read_bytes() == (tmp_path / "run" / WARNINGS).read_bytes()


def test_warning_lines_shows_the_first_findings_of_each_kind() -> None:
    findings = [Finding("warning", "label", (f"{i}.wav",), f"{i}.wav: doubted") for i in range(9)]
    lines = warning_lines([Finding("warning", "silent", ("s.wav",), "s.wav: silent"), *findings], "DATA")
    assert lines[0] == "warning: 1 silent, 9 label; `scenelet check DATA` lists them"
    assert lines[1:] == ["  silent: s.wav: silent", "  label: 0.wav: doubted", "  label: 1.wav: doubted"]
    assert warning_lines([], "DATA") == []
