"""`scenelet submit`: from a model and recordings to files that its own check passes."""

import functools
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from helpers.example_submission import report_values, valid_meta_bytes
from helpers.tiny_model import changed, tiny_model
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.details import example
from scenelet.inference.classifier import load
from scenelet.model.file import write_model
from scenelet.model.scene_model import TrainingCounts

LABEL = "Lastname_INST_task1b_1"
FIRST = CHALLENGES[2020]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def submit(command: Run) -> Run:
    """`scenelet submit` with these arguments: exit code, stdout, stderr."""
    return functools.partial(command, "submit")


@pytest.fixture
def run(submit: Run) -> Run:
    """`scenelet submit` of 2020."""
    return lambda name, *arguments: submit(name, "--year", 2020, *arguments)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Four recordings of the evaluation set, one of them as FLAC."""
    root = tmp_path / "audio"
    root.mkdir()
    for name in ("0.wav", "2.flac", "10.wav", "8639.WAV"):
        soundfile.write(root / name, rng.uniform(-0.5, 0.5, (4000, 2)), 8000)
    (root / "._0.wav").write_text("left by another system")
    (root / "meta.csv").write_text("filename\n")
    return root


@pytest.fixture
def details(tmp_path: Path) -> Path:
    path = tmp_path / "details.toml"
    path.write_text(example(FIRST))
    return path


@pytest.fixture
def report(tmp_path: Path, model: Path) -> Path:
    path = tmp_path / "report.json"
    figures = report_values(FIRST, model=str(model), model_sha256=hashlib.sha256(model.read_bytes()).hexdigest())
    path.write_text(json.dumps(figures))
    return path


def test_submit_write_passes_its_own_check(
    run: Run, model: Path, folder: Path, details: Path, report: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sub" / "mission"
    write = ("write", model, folder, "--details", details, "--out", out)
    code, printed, talk = run(*write, "--report", report, "--partial")
    assert (code, printed) == (0, "")
    assert "only 4 of 8,640 recordings" in talk
    assert "data_augmentation is null" in talk
    output, meta = out / f"{LABEL}.output.csv", out / f"{LABEL}.meta.yaml"
    assert sorted(out.iterdir()) == [meta, output]
    assert run("check", output, meta, "--partial")[:2] == (0, "no faults\n")
    rows = [line.split("\t") for line in output.read_text().splitlines()[1:]]
    assert [row[0] for row in rows] == ["0.wav", "2.wav", "10.wav", "8639.wav"]
    for row, name in zip(rows, ("0.wav", "2.flac", "10.wav", "8639.WAV"), strict=True):
        expected = load(model, threads=1).predict(folder / name)
        assert row[1] == expected.label
        np.testing.assert_allclose(
            [float(share) for share in row[2:]], list(expected.probabilities.values()), atol=1e-6
        )
    written = yaml.safe_load(meta.read_text())
    assert written["results"]["development_dataset"]["overall"] == {"accuracy": 91.0, "logloss": 0.25}
    code, printed, _ = run("check", output, meta, "--format", "json")
    faults = json.loads(printed)["faults"]
    assert code == 1
    assert faults[0] == {"file": output.name, "where": "", "message": "has 4 rows; it must have 8,640"}


def test_submit_write_without_report_omits_results(
    run: Run, model: Path, folder: Path, details: Path, tmp_path: Path
) -> None:
    code, _, talk = run("write", model, folder, "--details", details, "--out", tmp_path / "out", "--partial")
    assert code == 0
    assert "scenelet evaluate MODEL DATA --out DIR" in talk
    meta = yaml.safe_load((tmp_path / "out" / f"{LABEL}.meta.yaml").read_text())
    assert meta["results"]["development_dataset"] == {"overall": None, "class_wise": None}


def test_submit_write_respects_the_order_of_labels(
    run: Run, folder: Path, details: Path, tmp_path: Path, model: Path
) -> None:
    turned = tmp_path / "turned.scn"
    write_model(changed(tiny_model(), labels=("transportation", "indoor", "outdoor")), turned)
    for path, out in ((model, "a"), (turned, "b")):
        assert run("write", path, folder, "--details", details, "--out", tmp_path / out, "--partial")[0] == 0
    rows = [(tmp_path / out / f"{LABEL}.output.csv").read_text().splitlines()[1].split("\t")[2:] for out in "ab"]
    np.testing.assert_allclose(np.roll([float(x) for x in rows[0]], -1), [float(x) for x in rows[1]], atol=1e-8)


def refused(run: Run, out: Path, *arguments: object) -> str:
    """The one sentence in which it ends, with nothing written."""
    code, printed, talk = run("write", *arguments, "--out", out)
    assert code in (1, 2)
    assert printed == ""
    assert not out.exists() or not list(out.iterdir())
    last = talk.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


def test_submit_write_other_folders_are_refused(
    run: Run, model: Path, folder: Path, details: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", ("--details", details)
    line = refused(run, out, model, folder, *told)
    assert f"{folder}: has 4 of the 8,640 recordings, without 1.wav, 3.wav, 4.wav and 8,633 more" in line
    assert "--partial" in line
    assert "no such folder" in refused(run, out, model, tmp_path / "absent", *told)
    (tmp_path / "none").mkdir()
    assert "has 0 of" in refused(run, out, model, tmp_path / "none", *told, "--partial")
    sound = (folder / "0.wav").read_bytes()
    for name in ("8640.wav", "01.wav", "tram.wav", "٣.wav"):
        (folder / name).write_bytes(sound)
        assert f"{name}: not a name of the evaluation set" in refused(run, out, model, folder, *told, "--partial")
        (folder / name).unlink()
    (folder / "2.wav").write_bytes(sound)
    assert "2.flac has the same number" in refused(run, out, model, folder, *told, "--partial")
    (folder / "2.wav").unlink()
    (folder / "3.wav").write_text("no sound")
    assert "3.wav" in refused(run, out, model, folder, *told, "--partial")


def test_submit_write_other_models_are_refused(run: Run, folder: Path, details: Path, tmp_path: Path) -> None:
    path, rest = tmp_path / "m.scn", ("--details", details, "--partial")
    write_model(changed(tiny_model(), labels=("rain", "sea", "wind")), path)
    line = refused(run, tmp_path / "out", path, folder, *rest)
    assert "its labels are rain, sea, wind" in line
    assert "indoor, outdoor, transportation" in line
    write_model(changed(tiny_model(), counts=TrainingCounts(conv=400_000, conv_kept=300_000)), path)
    (folder / "0.wav").write_text("no sound")  # what can be known before the hours of predicting is said before
    line = refused(run, tmp_path / "out", path, folder, *rest)
    assert "system.complexity.model_size" in line
    assert "585.938" in line


def test_submit_missing_files_are_refused(
    run: Run, model: Path, folder: Path, details: Path, report: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert "absent.toml" in refused(run, out, model, folder, "--details", tmp_path / "absent.toml", "--partial")
    rest = (model, folder, "--details", details, "--partial", "--report")
    assert "absent.json" in refused(run, out, *rest, tmp_path / "absent.json")
    text = report.read_text()
    report.write_text(text.replace(json.loads(text)["model_sha256"], "0" * 64).replace(str(model), "other.scn"))
    assert f"is not the report of {model} but of another model, other.scn" in refused(run, out, *rest, report)
    report.write_text("{}")
    assert "macro_accuracy" in refused(run, out, *rest, report)
    report.write_text(text)
    (out / f"{LABEL}.meta.yaml").mkdir(parents=True)
    code, _, talk = run("write", *rest, report, "--out", out)
    assert (code, "meta.yaml: is a folder" in talk) == (1, True)
    assert not (out / f"{LABEL}.output.csv").exists()  # both files or none
    (tmp_path / "file").write_text("")
    assert run("write", model, folder, "--details", details, "--partial", "--out", tmp_path / "file")[0] == 1
    code, _, talk = run("check", tmp_path / "absent.csv", tmp_path / "absent.yaml")
    assert (code, "absent.csv: no such file or folder" in talk) == (1, True)


def test_submit_details_does_not_overwrite(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    assert run("details", path)[:2] == (0, "")
    assert path.read_text() == example(FIRST)
    path.write_text("mine")
    code, _, talk = run("details", path)
    assert (code, "exists already" in talk) == (1, True)
    assert path.read_text() == "mine"


def test_submit_check_prints_a_line_per_fault(run: Run, tmp_path: Path) -> None:
    output, meta = tmp_path / f"{LABEL}.output.csv", tmp_path / f"{LABEL}.meta.yaml"
    output.write_bytes(b"\xff")
    meta.write_text("- a list")
    code, printed, talk = run("check", output, meta)
    assert (code, talk) == (1, "")
    lines = printed.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{output.name}, line 1", meta.name]


def test_submit_modules_import_yaml_late() -> None:
    package = "scenelet.evaluation.submission"
    script = f"import sys, {package}.submit, {package}.validate_folder; print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_submit_check_lists_warnings_and_passes(run: Run, tmp_path: Path) -> None:
    output, meta = tmp_path / f"{LABEL}.output.csv", tmp_path / f"{LABEL}.meta.yaml"
    output.write_text("filename\tscene_label\tindoor\toutdoor\ttransportation\n0.wav\tindoor\t3.5\t-1\t0\n")
    meta.write_bytes(valid_meta_bytes(FIRST).replace(b"Chang_QTI_task1b_1", LABEL.encode()))
    code, printed, _ = run("check", output, meta, "--partial")
    assert code == 0
    warning, end = printed.splitlines()
    assert warning.startswith(f"warning: {output.name}, line 2: the scores, -1 to 3.5, sum to 2.5; they should be")
    assert end == "no faults"
    found = json.loads(run("check", output, meta, "--partial", "--format", "json")[1])
    assert (found["faults"], found["warnings"][0]["where"]) == ([], "line 2")


def test_submit_check_reads_a_zip(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"Lastname/task1/{LABEL}/{LABEL}.output.csv", b"\xff")
    code, printed, talk = run("check", path)
    assert (code, talk) == (1, "")
    assert [line.partition(":")[0] for line in printed.splitlines()] == [
        "a.zip",
        f"{LABEL}.meta.yaml",
        f"{LABEL}.output.csv, line 1",
    ]


def test_submit_without_year_is_refused(submit: Run, tmp_path: Path) -> None:
    code, _, talk = submit("check", tmp_path)
    assert code == 2
    assert "--year" in talk
