"""`scenelet submit` of each year: what `write` writes passes `check`."""

import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from helpers.example_submission import YEARS, report_values
from helpers.tiny_model import changed, tiny_model
from scenelet.cli.submit import Year
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.details import example
from scenelet.inference.classifier import load
from scenelet.model.file import write_model
from scenelet.model.scene_model import TrainingCounts

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def submit(command: Run) -> Run:
    """`scenelet submit` with these arguments: exit code, stdout, stderr."""
    return functools.partial(command, "submit")


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Three recordings of the evaluation set."""
    root = tmp_path / "audio"
    root.mkdir()
    for name in ("0.wav", "2.flac", "7919.wav"):
        soundfile.write(root / name, rng.uniform(-0.5, 0.5, (4000, 2)), 8000)
    return root


def test_years_are_those_of_the_challenges() -> None:
    assert [int(year) for year in Year] == list(YEARS)


@pytest.mark.parametrize("year", YEARS)
def test_submit_of_each_year_passes_its_own_check(year: int, submit: Run, folder: Path, tmp_path: Path) -> None:
    challenge, own, out = CHALLENGES[year], tmp_path / "details.toml", tmp_path / "out"
    assert submit("details", own, "--year", year)[:2] == (0, "")
    models, reports = tmp_path / "models", tmp_path / "reports"
    models.mkdir()
    for seed, split in enumerate(challenge.splits):
        path = models / (f"{split}.scn" if split else "model.scn")
        write_model(tiny_model(seed, challenge.labels), path)
        values = report_values(challenge, model=str(path), model_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        values["per_device"] = {device: {"macro_accuracy": 0.5, "log_loss": 1.5} for device in challenge.devices}
        (reports / split).mkdir(parents=True)
        (reports / split / "report.json").write_text(json.dumps(values))
    single = challenge.splits == ("",)
    model, report = (models / "model.scn", reports / "report.json") if single else (models, reports)
    write = ("write", model, folder, "--year", year, "--details", own, "--report", report, "--out", out, "--partial")
    code, printed, talk = submit(*write)
    assert (code, printed) == (0, ""), talk
    label = challenge.example_label
    names = [challenge.output_name(label, split) for split in challenge.splits]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, f"{label}.meta.yaml"])
    assert submit("check", out, "--year", year, "--partial")[:2] == (0, "no faults\n")
    assert submit("check", *out.iterdir(), "--year", year, "--partial")[:2] == (0, "no faults\n")
    contents = [(out / name).read_text() for name in names]
    assert len(set(contents)) == len(names)  # each split has its own model
    for seed, content in enumerate(contents):
        rows = [line.split("\t") for line in content.splitlines()]
        assert rows[0] == list(challenge.columns)
        expected = load(models / (challenge.splits[seed] + ".scn" if not single else "model.scn"), threads=1)
        assert [row[1] for row in rows[1:3]] == [expected.predict(folder / name).label for name in ("0.wav", "2.flac")]
    development = yaml.safe_load((out / f"{label}.meta.yaml").read_text())["results"]["development_dataset"]
    for results in [development] if single else development.values():
        assert results["overall"] == {"accuracy": 91.0, "logloss": 0.25}
        if challenge.devices:
            assert results["device_wise"]["s6"] == {"accuracy": 50.0, "logloss": 1.5}


def test_submit_write_of_splits_names_missing_files(submit: Run, folder: Path, tmp_path: Path, model: Path) -> None:
    challenge, own, models = CHALLENGES[2024], tmp_path / "d.toml", tmp_path / "models"
    own.write_text(example(challenge))
    models.mkdir()
    rest = (folder, "--year", 2024, "--details", own, "--partial", "--out", tmp_path / "out")
    code, _, talk = submit("write", model, *rest)
    assert code == 2
    assert "has no split_5.scn, split_10.scn" in talk
    assert "DCASE 2024 Task 1 needs a folder with split_5.scn" in talk
    for split in challenge.splits:
        write_model(tiny_model(labels=challenge.labels), models / f"{split}.scn")
    code, _, talk = submit("write", models, *rest, "--report", tmp_path)
    assert (code, "split_5/report.json: cannot be read" in talk) == (1, True)
    write_model(tiny_model(), models / "split_50.scn")
    code, _, talk = submit("write", models, *rest)
    assert (code, "split_50.scn: its labels are indoor, outdoor, transportation" in talk) == (2, True)
    assert not (tmp_path / "out").exists()


def test_submit_write_of_2021_counts_nonzero_bytes(submit: Run, folder: Path, tmp_path: Path) -> None:
    challenge, own, model, out = CHALLENGES[2021], tmp_path / "d.toml", tmp_path / "m.scn", tmp_path / "out"
    own.write_text(example(challenge))
    write = ("write", model, folder, "--year", 2021, "--details", own, "--partial", "--out", out)
    tiny = tiny_model(labels=challenge.labels)
    zeros = sum(array.size - np.count_nonzero(array) for name, array in tiny.arrays.items() if "weight" in name)
    for excess in (1, 0):
        conv = 64_000 + excess + int(zeros)
        write_model(changed(tiny, counts=TrainingCounts(conv=conv, conv_kept=conv)), model)
        code, _, talk = submit(*write)
        if excess:
            assert code == 1
            assert f"{model}: is above the limits of DCASE 2021 Task 1A by 2 bytes" in talk
            assert not out.exists()
        else:
            assert code == 0
            assert "nonzero weights and all norms take 128,000 bytes; the limit is 128,000" in talk


def test_submit_write_warns_as_the_report_does(submit: Run, folder: Path, tmp_path: Path) -> None:
    challenge, own, model, report = CHALLENGES[2022], tmp_path / "d.toml", tmp_path / "m.scn", tmp_path / "r.json"
    own.write_text(example(challenge))
    write_model(tiny_model(labels=challenge.labels), model)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    report.write_text(json.dumps(report_values(challenge, model_sha256=digest, warning="another split")))
    rest = ("--details", own, "--partial", "--out", tmp_path / "out", "--report", report, "--quiet")
    code, _, talk = submit("write", model, folder, "--year", 2022, *rest)
    assert code == 0
    assert f"warning: {report}: another split\n" in talk
