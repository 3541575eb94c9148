"""The epochs of a run, read without PyTorch. Unfinished, damaged and unrelated runs are errors."""

import hashlib
import json
from pathlib import Path

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.errors import RunError
from scenelet.evaluation.history import find_history, read_history

SPLIT = "filename,label,split\na.wav,indoor,train\n"
SETTINGS = {"seed": 3, "network": {"width": 8}, "mixing": {}, "loss": {"name": "focal"}, "schedule": {"epochs": 2}}
SPLIT_HASH = hashlib.sha256(SPLIT.encode()).hexdigest()[:16]
MODEL = changed(tiny_model(), provenance={"recipe": "paper_short", "split_hash": SPLIT_HASH, **SETTINGS})
EPOCHS = [
    {"epoch": 1, "loss": 2.0, "rate": 1e-3, "seconds": 4.0},
    {"epoch": 2, "loss": 1.5, "rate": 1e-4, "seconds": 4.0, "validation_log_loss": 1.0},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    record = {"labels": list(MODEL.labels), "recipe": "paper_short", "config": SETTINGS}
    (tmp_path / "split.csv").write_text(SPLIT)
    (tmp_path / "run.json").write_text(json.dumps(record))
    (tmp_path / "metrics.json").write_text(json.dumps({"test": {}, "history": EPOCHS}))
    return tmp_path


def test_read_history_returns_the_epochs(run: Path) -> None:
    history = read_history(run, MODEL)
    assert [row.loss for row in history] == [2.0, 1.5]
    assert [row.validation_log_loss for row in history] == [None, 1.0]


def test_find_history_looks_next_to_the_model_file(run: Path, tmp_path: Path) -> None:
    assert len(find_history(None, MODEL, run / "model.scn")) == 2
    assert find_history(None, MODEL, tmp_path / "elsewhere" / "model.scn") == []
    assert find_history(None, changed(MODEL, labels=("a", "b", "c")), run / "model.scn") == []


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("labels", ["a"], "labels"),
        ("recipe", "default", "recipe"),
        ("config", SETTINGS | {"seed": 4}, "seed"),
        ("config", SETTINGS | {"network": {"width": 9}}, "network"),
        ("config", SETTINGS | {"schedule": {"epochs": 3}}, "schedule"),
    ],
)
def test_read_history_rejects_the_run_of_another_model(run: Path, key: str, value: object, named: str) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {key: value}))
    with pytest.raises(RunError, match=f"its {named} differs from the model's"):
        read_history(run, MODEL)


def test_read_history_of_a_frozen_run_is_empty(run: Path) -> None:
    (run / "metrics.json").write_text('{"history": []}')
    assert read_history(run, MODEL) == []


def test_read_history_rejects_a_run_on_other_clips(run: Path) -> None:
    (run / "split.csv").write_text(SPLIT.replace("train", "test"))
    with pytest.raises(RunError, match="its split differs from the model's"):
        read_history(run, MODEL)


def test_read_history_compares_only_the_stored_settings(run: Path) -> None:
    older = {key: value for key, value in MODEL.provenance.items() if key not in ("schedule", "mixing")}
    assert len(read_history(run, changed(MODEL, provenance=older))) == 2


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("metrics.json", None, "not a finished run"),
        ("run.json", None, "not a finished run"),
        ("run.json", "{", "damaged"),
        ("run.json", "[]", "damaged"),
        ("run.json", "{}", "damaged"),
        ("metrics.json", "{}", "damaged"),
        ("metrics.json", '{"history": [{"epoch": 1, "loss": NaN, "rate": 1}]}', "damaged"),
    ],
)
def test_read_history_rejects_unfinished_and_damaged_runs(run: Path, file: str, text: str | None, words: str) -> None:
    if text is None:
        (run / file).unlink()
    else:
        (run / file).write_text(text)
    with pytest.raises(RunError, match=words):
        read_history(run, MODEL)
    assert find_history(None, MODEL, run / "model.scn") == []
