"""A run's epochs, read without PyTorch; runs that are another model's, unfinished or damaged are refused."""

import json
from pathlib import Path

import pytest

from scenelet.errors import RunError
from scenelet.reports.history import find_history, read_history
from tiny_model import changed, tiny_model

MODEL = changed(tiny_model(), provenance={"recipe": "fast", "seed": 3})
EPOCHS = [
    {"epoch": 1, "loss": 2.0, "rate": 1e-3, "seconds": 4.0},
    {"epoch": 2, "loss": 1.5, "rate": 1e-4, "seconds": 4.0, "validation_log_loss": 1.0},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    record = {"labels": list(MODEL.labels), "recipe": "fast", "config": {"seed": 3}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "metrics.json").write_text(json.dumps({"test": {}, "history": EPOCHS}))
    return tmp_path


def test_the_epochs_are_read(run: Path) -> None:
    history = read_history(run, MODEL)
    assert [row.loss for row in history] == [2.0, 1.5]
    assert [row.validation_log_loss for row in history] == [None, 1.0]


def test_a_model_in_its_runs_folder_finds_it(run: Path, tmp_path: Path) -> None:
    assert len(find_history(None, MODEL, run / "model.scn")) == 2
    assert find_history(None, MODEL, tmp_path / "elsewhere" / "model.scn") == []
    assert find_history(None, changed(MODEL, labels=("a", "b", "c")), run / "model.scn") == []


@pytest.mark.parametrize(("key", "value"), [("labels", ["a"]), ("recipe", "best"), ("config", {"seed": 4})])
def test_another_models_run_is_refused(run: Path, key: str, value: object) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {key: value}))
    with pytest.raises(RunError, match=f"its {'seed' if key == 'config' else key} "):
        read_history(run, MODEL)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("metrics.json", None, "not a finished run"),
        ("run.json", None, "not a finished run"),
        ("run.json", "{", "damaged"),
        ("run.json", "[]", "damaged"),
        ("run.json", "{}", "damaged"),
        ("metrics.json", "{}", "damaged"),
        ("metrics.json", '{"history": []}', "damaged"),
        ("metrics.json", '{"history": [{"epoch": 1, "loss": NaN, "rate": 1}]}', "damaged"),
    ],
)
def test_what_is_no_run_is_refused(run: Path, file: str, text: str | None, words: str) -> None:
    if text is None:
        (run / file).unlink()
    else:
        (run / file).write_text(text)
    with pytest.raises(RunError, match=words):
        read_history(run, MODEL)
    assert find_history(None, MODEL, run / "model.scn") == []
