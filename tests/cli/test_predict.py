"""`scenelet predict`: results on stdout, messages on stderr, exit codes."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from helpers.device_folder import write_device_folder
from helpers.tiny_model import changed, tiny_model
from scenelet.cli.options import RowFormat
from scenelet.cli.predict import predict
from scenelet.errors import ModelFileError, UsageError
from scenelet.inference.classifier import load
from scenelet.model.file import write_model


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two recordings, one in a subfolder, and a text."""
    root = tmp_path / "recordings"
    (root / "sub").mkdir(parents=True)
    soundfile.write(root / "sub" / "a.FLAC", rng.uniform(-0.5, 0.5, 4000), 8000, format="FLAC")
    soundfile.write(root / "b.wav", rng.uniform(-0.1, 0.1, (1000, 2)), 8000)
    (root / "notes.txt").write_text("not a recording")
    return root


def test_predict_folder_as_json(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(str(model), [str(folder)], RowFormat.json)
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert err == ""
    assert [row["file"] for row in rows] == [str(folder / "b.wav"), str(folder / "sub" / "a.FLAC")]
    assert [row["windows"] for row in rows] == [1, 3]
    expected = load(model).predict(folder / "b.wav")
    assert rows[0]["probabilities"] == expected.probabilities
    assert rows[0]["label"] == expected.label


def test_predict_as_csv_and_table(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(str(model), [str(folder / "b.wav")], RowFormat.csv)
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["file", "label", "unsure", "windows", "indoor", "outdoor", "transportation"]
    assert row[0] == str(folder / "b.wav")
    assert row[2] == str(load(model).predict(folder / "b.wav").unsure).lower()
    assert sum(map(float, row[4:])) == pytest.approx(1, abs=1e-5)
    predict(str(model), [str(folder / "b.wav")])
    out = capsys.readouterr().out
    assert row[1] in out
    assert "transportation" in out


def test_predict_csv_holds_no_formula(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "b.wav").rename("=1+1.wav")
    path = tmp_path / "model.scn"
    write_model(changed(tiny_model(), labels=("=1+1", "-a", "x")), path)
    predict(str(path), ["=1+1.wav"], RowFormat.csv)
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header[-3:] == ["'=1+1", "'-a", "x"]
    assert row[0] == "'=1+1.wav"


def test_predict_bad_file_does_not_stop_the_others(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = folder / "sub" / "none"
    empty.mkdir()
    with pytest.raises(typer.Exit) as caught:
        predict(
            str(model),
            [str(folder / "notes.txt"), str(folder / "no.wav"), str(empty), str(folder / "b.wav")],
            RowFormat.json,
        )
    assert caught.value.exit_code == 1
    out, err = capsys.readouterr()
    assert [row["file"] for row in json.loads(out)] == [str(folder / "b.wav")]
    lines = err.splitlines()
    assert len(lines) == 3
    named = {line.split(":")[1].strip() for line in lines}
    assert named == {str(folder / "notes.txt"), str(folder / "no.wav"), str(empty)}


def test_predict_labels_are_not_markup(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    bracketed = changed(tiny_model(), labels=("[red]in", "[/]", "x"))
    write_model(bracketed, path)
    predict(str(path), [str(folder / "b.wav")])
    out = capsys.readouterr().out
    assert "[red]in" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("model", ["unknown", "missing.scn"])
def test_predict_missing_model_is_an_error(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelFileError):
        predict(str(tmp_path / model) if "." in model else model, [str(tmp_path)])


def test_predict_table_begins_with_the_answer(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    write_model(changed(tiny_model(), results={"threshold": {"probability": 1.0}}), path)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "click.wav", np.ones(50), 8000)
    predict(str(path), [str(folder / "b.wav"), str(tmp_path / "quiet.wav"), str(tmp_path / "click.wav")])
    answers = [line.split(".wav")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert answers[0].startswith("unsure ")
    assert answers[0].count("%") == 3
    assert answers[1:] == ["silence", "too short"]


def test_predict_pipe_names_listen(model: Path) -> None:
    with pytest.raises(UsageError, match=r"`scenelet listen .* -` reads a pipe"):
        predict(str(model), ["-"])


def test_predict_of_a_long_recording_names_listen(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for windows, noted in ((12, False), (13, True)):
        soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, windows * 1600), 8000)
        predict(str(model), [str(tmp_path / "a.wav")])
        assert ("note: 1 recording of more than 12 windows" in capsys.readouterr().err) == noted


def test_predict_without_recordings_takes_the_example_of_a_built_in_model(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict("esc10")
    out, err = capsys.readouterr()
    assert "esc10.example.ogg  dog  dog 100.0 %" in out
    assert "predicting the example of esc10" in err
    with pytest.raises(UsageError, match="give recordings or folders of recordings"):
        predict(str(model))


def test_predict_with_a_device_chooses_its_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = write_device_folder(tmp_path / "models", {"general": "other", "s1": "high"})
    for device, label in (("s1", "high"), ("s2", "other"), (None, "other")):
        predict(str(models), [str(folder / "b.wav")], RowFormat.csv, device=device)
        assert next(csv.DictReader(io.StringIO(capsys.readouterr().out)))["label"] == label
    with pytest.raises(UsageError, match=r"--device s1: .* is not a folder of models for devices"):
        predict(str(models / "s1.scn"), [str(folder / "b.wav")], device="s1")
    with pytest.raises(UsageError, match="--out takes one model file"):
        predict(str(models), [str(folder)], device="s1", out=str(tmp_path / "out"))
