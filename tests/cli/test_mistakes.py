"""A user's mistake ends with a one-line error and an exit code; no partial file is left."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from helpers.device_folder import write_device_folder
from scenelet.cli import main

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command line and gives the exit code and the last line on stderr."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["scenelet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert isinstance(caught.value.code, int)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return caught.value.code, err.strip().splitlines()[-1] if err.strip() else ""

    return call


@pytest.fixture
def recording(tone_set: Path) -> Path:
    return tone_set.parent / "low0.wav"


def bad_recordings(folder: Path, recording: Path) -> dict[Path, str]:
    text, empty, truncated = folder / "text.wav", folder / "zero.wav", folder / "half.wav"  # no word of an error
    text.write_text("hello\n" * 99)
    empty.touch()
    truncated.write_bytes(recording.read_bytes()[:3000])
    return {text: "not a recording", empty: "empty", truncated: "truncated", folder / "absent.wav": "no such file"}


def test_predict_bad_recordings_are_one_line_errors(run: Run, model: Path, tmp_path: Path, recording: Path) -> None:
    for path, words in bad_recordings(tmp_path, recording).items():
        code, line = run("predict", model, path)
        assert code == 1
        assert line.startswith(f"error: {path}")
        assert words in line
    folder = tmp_path / "nothing here"
    folder.mkdir()
    code, line = run("predict", model, folder)
    assert code == 1
    assert "no recordings" in line


def test_train_bad_recordings_are_one_line_errors(
    run: Run, tone_set: Path, tmp_path: Path, recording: Path, tiny_settings: list[str]
) -> None:
    bad = bad_recordings(tmp_path, recording)
    (tmp_path / "folder.wav").mkdir()
    for path, words in {**bad, tmp_path / "folder.wav": "folder.wav"}.items():
        table = tmp_path / "table.csv"
        lines = tone_set.read_text().splitlines()
        rows = [lines[0], *(str(tone_set.parent / line) for line in lines[1:]), f"{path},low,2,x"]
        table.write_text("\n".join(rows) + "\n")
        settings = [part for setting in tiny_settings for part in ("--set", setting)]
        code, line = run("train", table, "--out", tmp_path / "run", "--fold", "1", *settings)
        assert (code, line[:7]) == (1, "error: ")
        assert path.name in line
        assert words in line or path.name == "absent.wav"
        assert not (tmp_path / "run").exists()


def test_train_bad_tables_are_one_line_errors(run: Run, tone_set: Path, tmp_path: Path) -> None:
    text = tone_set.read_text()
    single = "\n".join([*(line for line in text.splitlines() if ",low," not in line), "low0.wav,low,1,x"])
    cases = {
        text.replace("label", "scene", 1): "label",
        single: "low",
        "filename,label\n": "no",
        "": "its columns are none",
    }
    for number, (content, words) in enumerate(cases.items()):
        table = tmp_path / f"table{number}.csv"
        table.write_text(content)
        command = ("train", table, "--audio-dir", tone_set.parent, "--out", tmp_path / "run", "--fold", "1")
        code, line = run(*command)
        assert code in (1, 2)
        assert line.startswith("error: ")
        assert words in line
        assert not (tmp_path / "run").exists()
    code, line = run("train", tmp_path / "absent.csv", "--out", tmp_path / "run")
    assert code in (1, 2)
    assert "absent.csv" in line


def test_train_wrong_settings_are_one_line_errors(run: Run, tone_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for setting, words in {
        "schedule.epoch=3": "did you mean 'schedule.epochs'",
        "nonsense": "KEY=VALUE",
        "schedule.epochs=-1": "schedule.epochs",
    }.items():
        code, line = run("train", tone_set, "--out", out, "--set", setting)
        assert (code, words in line) == (2, True)
    code, line = run("train", tone_set, "--out", out, "--set", "network.width=8", "--max-bytes", "64kB")
    assert (code, "leave out --set network.width=8, or them" in line) == (2, True)
    code, line = run("train", tone_set, "--out", out, "--set", "network.width=8", "--rule", "dcase2024")
    assert (code, "leave out --set network.width=8, or them" in line) == (2, True)
    assert run("train", tone_set, "--out", out, "--fold", "9")[0] in (1, 2)
    assert run("train", tone_set, "--out", out, "--recipe", "fats")[0] == 2
    assert run("train", tone_set)[0] == 2
    assert run("compress", tmp_path, "--out", tmp_path / "m.scn", "--max-bytes", "big")[0] == 2
    assert not out.exists()


def test_train_existing_folder_is_not_overwritten(run: Run, tone_set: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    code, line = run("train", tone_set, "--out", tmp_path / "run")
    assert (code, "exists already" in line) == (1, True)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_compress_without_a_run_is_an_error(run: Run, tmp_path: Path) -> None:
    code, line = run("compress", tmp_path, "--out", tmp_path / "m.scn")
    assert (code, "not a run folder" in line) == (1, True)
    assert not (tmp_path / "m.scn").exists()


def test_predict_info_export_damaged_models_are_errors(run: Run, model: Path, recording: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    altered = bytearray(data)
    altered[len(data) // 2] ^= 1
    cases = {  # no name holds a word of its error
        "half.scn": (data[: len(data) // 2], "truncated"),
        "flipped.scn": (bytes(altered), "altered"),
        "text.scn": (b"hello", "not a model file"),
        "zero.scn": (b"", "empty"),
    }
    for name, (content, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        for command in (("predict", path, recording), ("info", path), ("export", path, "--out", tmp_path / "m.onnx")):
            code, line = run(*command)
            assert code == 1
            assert line.startswith(f"error: {path}")
            assert words in line
    assert not (tmp_path / "m.onnx").exists()
    for absent in (tmp_path / "absent.scn", "no_such_model"):
        for command in (("predict", absent, recording), ("info", absent), ("evaluate", absent, tmp_path)):
            code, line = run(*command)
            assert (code, line.startswith(f"error: {absent}: no such file")) == (1, True)


def test_predict_good_recordings_exit_0(run: Run, model: Path, tmp_path: Path, recording: Path) -> None:
    assert run("predict", model, recording)[0] == 0
    samples, rate = soundfile.read(recording)
    soundfile.write(tmp_path / "name with spaces é.flac", samples, rate)
    assert run("predict", model, tmp_path / "name with spaces é.flac")[0] == 0


@pytest.mark.parametrize("command", ["listen", "timeline", "export", "serve", "predict"])
def test_device_folder_is_no_model_file(run: Run, recording: Path, tmp_path: Path, command: str) -> None:
    folder, out = write_device_folder(tmp_path / "models", {"general": "other", "s1": "high"}), tmp_path / "out"
    others = {
        "listen": [recording],
        "timeline": [recording, "--out", out],
        "export": ["--out", tmp_path / "m.onnx"],
        "serve": ["--port", "0"],
        "predict": [tmp_path, "--out", out],
    }
    code, line = run(command, folder, *others[command])
    assert code == 1
    assert f"takes one model file; give {folder}/general.scn, or the file of the device" in line
    assert not out.exists()
