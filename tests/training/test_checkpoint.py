"""Weights and checkpoints from anywhere: read as data, checked before they are used, and damage named."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.errors import RunError
from scenelet.training.checkpoint import check_checkpoint, check_state_dict, read_checkpoint
from scenelet.training.loop import CHECKPOINTS, LAST
from scenelet.training.network import load_network
from scenelet.training.train import train

STATE = {"mean": torch.zeros(4), "weight": torch.ones(2, 3)}
ROW = {"epoch": 1, "rate": 0.1, "loss": 0.5, "seconds": 1.5}
CHECKPOINT = {"epoch": 0, "global_step": 2, "state_dict": STATE, "history": [ROW], "loops": {}}
CHECKPOINT |= {"optimizer_states": [], "lr_schedulers": [], "callbacks": {}}


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


class Call:
    """What a pickle of it calls when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", STATE)
    found = read_checkpoint(path)
    check_state_dict(path, found, STATE)
    assert torch.equal(found["weight"], STATE["weight"])
    check_checkpoint(saved(tmp_path / "last.ckpt", CHECKPOINT), STATE)
    for key in CHECKPOINT:
        cut = {name: value for name, value in CHECKPOINT.items() if name != key}
        with pytest.raises(RunError, match=f"it has no {key}"):
            check_checkpoint(saved(tmp_path / "last.ckpt", cut), STATE)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"mean": torch.zeros(4)}, "does not hold the weights"),
        ({**STATE, "more": torch.zeros(1)}, "does not hold the weights"),
        ({**STATE, "mean": torch.zeros(5)}, r"its mean has the shape \(5,\), not \(4,\)"),
        ({**STATE, "mean": torch.zeros(4, dtype=torch.float64)}, "mean is of another type"),
        ({**STATE, "mean": torch.zeros(4).to_sparse()}, "mean is of another type"),
        ({**STATE, "mean": 3}, "mean is of another type"),
        ({**STATE, "mean": torch.full((4,), float("nan"))}, "not finite"),
    ],
)
def test_weights_of_another_network_are_refused(state: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", state)
    with pytest.raises(RunError, match=f"model.pt: .*{words}.*train again"):
        check_state_dict(path, read_checkpoint(path), STATE)


@pytest.mark.parametrize(
    "history", [None, [], [3], [{"epoch": 1}], [{**ROW, "loss": "x"}], [{**ROW, "loss": float("nan")}]]
)
def test_notes_that_are_none_are_refused(history: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "last.ckpt", CHECKPOINT | {"history": history})
    with pytest.raises(RunError, match="the notes of its epochs"):
        check_checkpoint(path, STATE)


def test_a_pickle_that_calls_something_calls_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", {"a": Call(tmp_path / "synthetic")})
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(path)
    assert not (tmp_path / "synthetic").exists()


def test_a_file_that_would_inflate_is_refused(tmp_path: Path) -> None:
    data, path = io.BytesIO(), tmp_path / "model.pt"
    torch.save(STATE, data)
    with zipfile.ZipFile(data) as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry))
    with pytest.raises(RunError, match="compressed"):
        read_checkpoint(path)


def test_cut_anywhere(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole", STATE).read_bytes()
    path = tmp_path / "model.pt"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=r"model\.pt: "):
            check_state_dict(path, read_checkpoint(path), STATE)


@pytest.fixture(scope="module")
def run(tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = load_recipe("low_complexity", [*tiny_settings, "schedule.epochs=1", "split.fold=1"])
    train(tone_set, folder, config, recipe="low_complexity")
    return folder, config


@pytest.mark.parametrize(
    "damage",
    [
        lambda held: held.pop("loops"),
        lambda held: held.pop("optimizer_states"),
        lambda held: held["optimizer_states"][0].pop("state"),
        lambda held: held.update(callbacks=3),
        lambda held: held["state_dict"].popitem(),
    ],
)
def test_a_damaged_checkpoint_is_named_and_nothing_is_trained(
    damage: Any, run: tuple[Path, RunConfig], tone_set: Path
) -> None:
    folder, config = run
    path = folder / CHECKPOINTS / LAST
    whole = path.read_bytes()
    held = torch.load(path, weights_only=True)
    damage(held)
    try:
        torch.save(held, path)
        with pytest.raises(RunError, match=f"{path.name}: .*(damaged|does not hold|cannot be gone on with)"):
            train(tone_set, folder, config, resume=True)
    finally:
        path.write_bytes(whole)
    train(tone_set, folder, config, resume=True)


def test_damaged_weights_of_a_finished_run_are_named(run: tuple[Path, RunConfig]) -> None:
    folder, _ = run
    path = folder / runs.WEIGHTS
    whole = path.read_bytes()
    record = runs.read_record(folder)
    for broken in (whole[:500], b"", whole.replace(b"mean", b"lean")):
        path.write_bytes(broken)
        with pytest.raises(RunError, match=r"model\.pt: "):
            load_network(folder, record)
    path.write_bytes(whole)
    assert load_network(folder, record)
