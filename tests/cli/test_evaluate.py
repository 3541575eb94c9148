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
from scenelet.model.file import write_model

Command = Callable[..., tuple[int, str, str]]
FIGURES = {"confusion.svg", "classes.svg", "reliability.svg"}
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
