"""`scenelet evaluate`: the files that it writes, and what it refuses."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.tiny_model import changed, tiny_model
from scenelet.inference.classifier import load
from scenelet.model.file import read_model, write_model

Command = Callable[..., tuple[int, str, str]]
FIGURES = {"confusion.svg", "classes.svg", "reliability.svg", "detection.svg"}
DATA = {"report.json", "predictions.csv", "predictions.json"}
OTHERS = {"report.html", "listening.html"}


@pytest.fixture
def places(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder for each of the tiny model's labels, with two recordings of a window or three."""
    for label in ("indoor", "outdoor", "transportation"):
        (tmp_path / "places" / label).mkdir(parents=True)
        for seconds in (0.2, 0.6):
            samples = 0.1 * rng.standard_normal(int(8000 * seconds))
            soundfile.write(tmp_path / "places" / label / f"{seconds}.wav", samples, 8000)
    return tmp_path / "places"


def test_evaluate_writes_report_and_data(command: Command, model: Path, places: Path, tmp_path: Path) -> None:
    code, out, err = command("evaluate", model, places, "--out", tmp_path / "report", "--format", "json")
    assert code == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == FIGURES | DATA | OTHERS
    report = json.loads(out)
    assert report == json.loads((tmp_path / "report" / "report.json").read_text())
    assert sum(row["clips"] for row in report["reliability"]["bins"]) == report["clips"] == 6
    assert sum(row["right"] for row in report["per_group"]) == sum(report["confusion"][k][k] for k in range(3))
    assert report["warning"] in err
    assert report["warning"] in (tmp_path / "report" / "report.html").read_text()
    predictions = json.loads((tmp_path / "report" / "predictions.json").read_text())
    for row in predictions["clips"]:
        expected = load(model).predict(places / row["filename"])
        assert row["windows"] == expected.windows.tolist()
        assert row["probabilities"] == list(expected.probabilities.values())
        assert row["predicted"] == expected.label
    listening = (tmp_path / "report" / "listening.html").read_text()
    assert listening.count("<audio ") == 6
    assert 'src="../places/indoor/0.2.wav"' in listening


def test_evaluate_examples_limits_the_listening_page(
    command: Command, model: Path, places: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    command("evaluate", model, places, "--out", report, "--examples", 1)
    text = (report / "listening.html").read_text()
    assert len(re.findall(r"<article", text)) == 2
    code, _, err = command("evaluate", model, places, "--out", report, "--examples", 0)
    assert code == 0
    assert "listening.html" not in err
    assert not (report / "listening.html").exists()  # of the evaluation before
    assert "listening.html" not in (report / "report.html").read_text()
    code, _, err = command("evaluate", model, places, "--out", report, "--examples", -1)
    assert (code, err.count("--examples -1")) == (2, 1)


def test_evaluate_audio_embed_and_none(command: Command, model: Path, places: Path, tmp_path: Path) -> None:
    command("evaluate", model, places, "--out", tmp_path / "a", "--audio", "embed")
    text = (tmp_path / "a" / "listening.html").read_text()
    assert text.count('src="data:audio/flac;base64,') == 6
    assert "places" not in text
    command("evaluate", model, places, "--out", tmp_path / "b", "--audio", "none")
    text = (tmp_path / "b" / "listening.html").read_text()
    assert "<audio" not in text
    assert 'tabindex="0"' not in text
    assert text.count("<canvas") > 6


def test_evaluate_run_adds_training_curves(command: Command, model: Path, places: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    labels = ["indoor", "outdoor", "transportation"]
    settings = {"seed": 0, "network": {}, "mixing": {}, "loss": {}, "schedule": {}}
    (run / "run.json").write_text(json.dumps({"labels": labels, "recipe": "low_complexity", "config": settings}))
    (run / "split.csv").write_text("a.wav")
    own = {"recipe": "low_complexity", "seed": 0, "split_hash": hashlib.sha256(b"a.wav").hexdigest()[:16]}
    write_model(changed(tiny_model(), provenance=own), model)
    epochs = [{"epoch": k, "loss": 3.0 / k, "rate": 1e-3, "seconds": 1.0} for k in (1, 2, 3)]
    (run / "metrics.json").write_text(json.dumps({"history": epochs}))
    out = tmp_path / "report"
    code, _, _ = command("evaluate", model, places, "--out", out, "--run", run, "--examples", 0)
    assert code == 0
    assert "<polyline" in (out / "curves.svg").read_text()
    assert (out / "curves.svg").read_text() in (out / "report.html").read_text()
    code, _, err = command("evaluate", model, places, "--run", run)
    assert (code, "give --out too" in err) == (2, True)
    code, _, err = command("evaluate", model, places, "--out", out, "--run", tmp_path)
    assert (code, "not a finished run" in err) == (1, True)
    command("evaluate", model, places, "--out", out, "--examples", 0)
    assert not (out / "curves.svg").exists()  # the page no longer shows it


def test_evaluate_without_out_draws_nothing(
    command: Command, model: Path, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert command("evaluate", model, places)[0] == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_evaluate_malicious_names_are_escaped(command: Command, model: Path, places: Path, tmp_path: Path) -> None:
    """What the loaders take ends in pages whose links lead to the recordings."""
    odd = places / "indoor" / '50%41 #1 "<b>".wav'
    (places / "indoor" / "0.2.wav").rename(odd)
    code, _, _ = command("evaluate", model, places, "--out", tmp_path / "report")
    assert code == 0
    text = (tmp_path / "report" / "listening.html").read_text()
    assert 'src="../places/indoor/50%2541%20%231%20%22%3Cb%3E%22.wav"' in text
    assert "<b>&#34;" not in text
    assert "50%41 #1 &#34;&lt;b&gt;&#34;.wav" in text


@pytest.fixture
def night(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with a recording of 2 s of noise."""
    (tmp_path / "night").mkdir()
    soundfile.write(tmp_path / "night" / "1.wav", 0.1 * rng.standard_normal(16000), 8000)
    return tmp_path / "night"


def test_evaluate_counts_false_alarms_and_stores_thresholds(
    command: Command, model: Path, places: Path, night: Path, tmp_path: Path
) -> None:
    weights = {name: array.tobytes() for name, array in read_model(model).arrays.items()}
    options = ["--background", night, "--target-per-hour", "2.5", "--store", "--out", tmp_path / "report"]
    code, out, err = command("evaluate", model, places, *options)
    assert code == 0
    assert "1 recording of background, 0.00 h: " in out
    assert "too few for a target of 2.5 per hour" in err
    assert f"written: the thresholds of the labels, into {model}" in err
    report = json.loads((tmp_path / "report" / "report.json").read_text())["false_alarms"]
    stored = read_model(model)
    after = {label: own["after"]["threshold"] for label, own in report["per_label"].items()}
    assert stored.results["label_thresholds"]["probabilities"] == after
    assert {name: array.tobytes() for name, array in stored.arrays.items()} == weights
    page = (tmp_path / "report" / "report.html").read_text()
    assert (tmp_path / "report" / "alarms.svg").read_text() in page
    assert "1 recording of background, 0.00 h: " in page
    assert command("evaluate", model, places, "--out", tmp_path / "report")[0] == 0
    assert not (tmp_path / "report" / "alarms.svg").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--store"], "--store needs recordings of none of the classes"),
        (["--target-per-hour", "1"], "--target-per-hour needs recordings of none of the classes"),
        (["--background", "none"], "--background none: no such file or folder"),
        (["--background", ".", "--target-per-hour", "0"], "--target-per-hour 0: give a rate above 0"),
        (["--background", ".", "--target-per-hour", "nan"], "--target-per-hour nan: give a rate above 0"),
    ],
)
def test_evaluate_refuses_wrong_options_on_false_alarms(
    command: Command, model: Path, places: Path, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(places)
    before = model.read_bytes()
    code, out, err = command("evaluate", model, places, *options)
    assert (code, out) == (2, "")
    assert words in err
    assert model.read_bytes() == before


def test_evaluate_does_not_store_in_a_built_in_model(command: Command, places: Path, night: Path) -> None:
    code, _, err = command("evaluate", "esc10", places, "--background", night, "--store")
    assert code == 2
    assert "--store: esc10 is a built-in model; copy" in err


def test_evaluate_shows_background_apart(command: Command, model: Path, places: Path, tmp_path: Path) -> None:
    write_model(changed(tiny_model(), background="outdoor"), model)
    code, out, _ = command("evaluate", model, places, "--out", tmp_path / "report")
    assert code == 0
    found = json.loads((tmp_path / "report" / "report.json").read_text())["background"]
    assert (found["label"], found["clips"], found["other_clips"]) == ("outdoor", 2, 4)
    assert found["hours"] == pytest.approx(0.8 / 3600)
    text = f"outdoor: 2 clips, of which {found['alarms']} were taken for a class, {found['sure_alarms']} of them surely"
    assert text in " ".join(out.split())
    assert text in (tmp_path / "report" / "report.html").read_text()
