"""`scenelet check`: findings on stdout, messages on stderr, exit code 1 if there are errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from helpers.data_sets import mislabeled_scenes
from scenelet.cli import main
from scenelet.cli.check import check
from scenelet.cli.options import Format
from scenelet.errors import DataError


@pytest.fixture
def folds(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A sound set of two classes in two folds, 0.1 s a clip."""
    rows = ["filename,label,fold,group"]
    for i in range(40):
        soundfile.write(tmp_path / f"{i:02d}.wav", rng.uniform(-0.5, 0.5, 800), 8000)
        rows.append(f"{i:02d}.wav,{'xy'[i % 2]},{i // 20 + 1},g{i // 2}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "clips.csv"


def test_check_good_data_only_warns_about_labels(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(folds, window=0.1, workers=1)
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert line.startswith("warning labels not compared  labels cannot be compared: a small classifier")
    assert "CSV clips.csv: 40 clips, 2 classes, 20 groups, folds 1 2" in err
    assert "40 clips: 0 errors, 1 warning" in err


@pytest.mark.parametrize("fold", [None, "1"])
def test_check_errors_exit_1_and_print_json_only(
    folds: Path, fold: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folds.write_text(folds.read_text().replace("39.wav,y,2,g19", "39.wav,y,2,g0"))
    with pytest.raises(typer.Exit) as caught:
        check(folds, fold=fold, window=0.1, workers=1, format=Format.json)
    assert caught.value.exit_code == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["clips"], report["errors"], report["warnings"]) == (40, 1, 1)
    assert report["classes"] == {"x": 20, "y": 20}
    assert report["findings"][0]["kind"] == "shared group"
    assert report["findings"][0]["clips"] == ["00.wav", "01.wav", "39.wav"]
    assert ("fold 1 held out" in err) is (fold is not None)


def test_check_short_clips_are_one_line(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(folds, window=1.0, workers=1)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "too short            40 clips (00.wav, 01.wav, 02.wav and 37 more): at most 0.10 s, less than" in out
    assert err.count("no class is named like background or other") == 1


def test_check_kind_of_many_recordings_is_cut(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        soundfile.write(folds.parent / f"{number:02d}.wav", np.zeros(800), 8000)
    check(folds, window=0.1, workers=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning silent" in line]
    assert len(lines) == 21
    assert lines[-1].endswith("and 5 more clips; --format json lists all")
    check(folds, window=0.1, workers=1, format=Format.json)
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert sum(finding["kind"] == "silent" for finding in findings) == 25


def test_check_missing_recording_does_not_end_the_check(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folds.parent / "07.wav").unlink()
    with pytest.raises(typer.Exit) as caught:
        check(folds, window=1.0, workers=1)
    assert caught.value.exit_code == 1
    out = capsys.readouterr().out
    assert "error   missing" in out
    assert "1 of 40 files do not exist (07.wav)" in out
    assert "too short            39 clips" in out


def test_check_no_recording_exists_ends_the_check(folds: Path) -> None:
    for path in folds.parent.glob("*.wav"):
        path.unlink()
    with pytest.raises(DataError, match="40 of 40 files do not exist"):
        check(folds)


def test_check_data_without_split_tries_a_random_one(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds.write_text("filename,label\n00.wav,x\n02.wav,x\n01.wav,y\n")
    with pytest.raises(typer.Exit) as caught:
        check(folds)
    assert caught.value.exit_code == 1
    assert "error   no split             class 'y' has only one clip" in capsys.readouterr().out


def test_check_unknown_fold_lists_the_folds(folds: Path) -> None:
    with pytest.raises(DataError, match="no fold '9'; there are 1 2"):
        check(folds, fold="9")


def test_check_max_label_issues_limits_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scenes = str(mislabeled_scenes(tmp_path))
    command = ["scenelet", "check", scenes, "--max-label-issues", "1", "--format", "json", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    findings = json.loads(capfd.readouterr().out)["findings"]
    (doubted,) = (finding for finding in findings if finding["kind"] == "label")
    assert 0.75 <= doubted["score"] <= 1
