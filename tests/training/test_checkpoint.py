"""Weights and checkpoints: they are read as data and checked before use, and errors name the damage."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.errors import RunError
from scenelet.training.checkpoint import AtomicCheckpointIO, check_checkpoint, check_state_dict, read_checkpoint
from scenelet.training.loop import CHECKPOINTS, LAST
from scenelet.training.network import load_network
from scenelet.training.train import train

STATE = {"mean": torch.zeros(4), "weight": torch.ones(2, 3)}
CHECKPOINT = {"epoch": 0, "global_step": 2, "state_dict": STATE, "history": [], "loops": {}}
CHECKPOINT |= {"optimizer_states": [], "lr_schedulers": [], "callbacks": {}}


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


class MakesFolder:
    """Object whose pickle makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_check_checkpoint_accepts_only_what_training_wrote(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CHECKPOINT, path)
    check_checkpoint(path, STATE)
    assert torch.equal(read_checkpoint(path)["state_dict"]["weight"], STATE["weight"])
    for key in CHECKPOINT:  # Lightning would resume without some of them
        incomplete = {name: value for name, value in CHECKPOINT.items() if name != key}
        with pytest.raises(RunError, match="it was changed after training wrote it"):
            check_checkpoint(saved(path, incomplete), STATE)
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    with pytest.raises(RunError, match="does not hold the weights"):
        check_checkpoint(path, STATE)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"mean": torch.zeros(4)}, "does not hold the weights"),
        ({**STATE, "more": torch.zeros(1)}, "does not hold the weights"),
        ({**STATE, "mean": torch.zeros(5)}, r"its mean has the shape \(5,\), not \(4,\)"),
        ({**STATE, "mean": torch.zeros(4, dtype=torch.float64)}, "mean has another type"),
        ({**STATE, "mean": torch.zeros(4).to_sparse()}, "mean has another type"),
        ({**STATE, "mean": 3}, "mean has another type"),
        ({**STATE, "mean": torch.full((4,), float("nan"))}, "not finite"),
    ],
)
def test_check_state_dict_refuses_another_networks_weights(state: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", state)
    with pytest.raises(RunError, match=f"model.pt: .*{words}.*train again"):
        check_state_dict(path, read_checkpoint(path), STATE)


def test_read_checkpoint_refuses_an_altered_byte(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", {"weight": torch.arange(1000.0)})
    content = path.read_bytes()
    check_state_dict(path, read_checkpoint(path), {"weight": torch.zeros(1000)})
    value = torch.tensor([500.0]).numpy().tobytes()
    path.write_bytes(content.replace(value, torch.tensor([501.5]).numpy().tobytes()))
    with pytest.raises(RunError, match=r"model\.pt: damaged \(its .* was altered\)"):
        read_checkpoint(path)


def test_read_checkpoint_executes_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pt", {"a": MakesFolder(tmp_path / "new")})
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(path)
    assert not (tmp_path / "new").exists()


def test_read_checkpoint_refuses_a_compressed_file(tmp_path: Path) -> None:
    data, path = io.BytesIO(), tmp_path / "model.pt"
    torch.save(STATE, data)
    with zipfile.ZipFile(data) as original, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in original.infolist():
            packed.writestr(entry.filename, original.read(entry))
    with pytest.raises(RunError, match="compressed"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_truncated_files(tmp_path: Path) -> None:
    content = saved(tmp_path / "complete", STATE).read_bytes()
    path = tmp_path / "model.pt"
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"model\.pt: "):
            check_state_dict(path, read_checkpoint(path), STATE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda checkpoint: checkpoint.pop("loops"),
        lambda checkpoint: checkpoint.pop("optimizer_states"),
        lambda checkpoint: checkpoint["optimizer_states"][0].pop("state"),
        lambda checkpoint: checkpoint.update(callbacks=3),
        lambda checkpoint: checkpoint["state_dict"].popitem(),
    ],
)
def test_resume_from_a_damaged_checkpoint_names_it(
    damage: Any, finished_run: tuple[Path, RunConfig], tone_set: Path
) -> None:
    folder, config = finished_run
    path = folder / CHECKPOINTS / LAST
    content, metrics = path.read_bytes(), (folder / runs.METRICS).read_bytes()
    (folder / runs.METRICS).unlink()  # as if the training had been interrupted
    checkpoint = torch.load(path, weights_only=True)
    damage(checkpoint)
    try:
        torch.save(checkpoint, path)
        with pytest.raises(RunError, match=f"{path.name}: .*(damaged|does not hold)"):
            train(tone_set, folder, config, resume=True)
    finally:
        path.write_bytes(content)
    train(tone_set, folder, config, resume=True)
    (folder / runs.METRICS).write_bytes(metrics)


def test_load_network_names_damaged_weights(finished_run: tuple[Path, RunConfig]) -> None:
    folder, _ = finished_run
    path = folder / runs.WEIGHTS
    content = path.read_bytes()
    record = runs.read_record(folder)
    for broken in (content[:500], b"", content.replace(b"mean", b"lean")):
        path.write_bytes(broken)
        with pytest.raises(RunError, match=r"model\.pt: "):
            load_network(folder, record)
    path.write_bytes(content)
    assert load_network(folder, record)


def test_atomic_checkpoint_io_follows_a_moved_folder(tmp_path: Path) -> None:
    before, store = tmp_path / "before", AtomicCheckpointIO()
    best = {
        "best_model_path": str(before / "best.ckpt"),
        "kth_best_model_path": "",
        "last_model_path": str(before / "last.ckpt"),
        "best_k_models": {str(before / "best.ckpt"): torch.tensor(0.5)},
        "dirpath": str(before),
    }
    store.save_checkpoint({"callbacks": {"best": best, "other": {}}}, before / "last.ckpt")
    assert [path.name for path in before.iterdir()] == ["last.ckpt"]
    after = before.rename(tmp_path / "after")
    found = store.load_checkpoint(after / "last.ckpt")["callbacks"]["best"]
    assert found["best_model_path"] == str(after / "best.ckpt")
    assert found["kth_best_model_path"] == ""
    assert found["dirpath"] == str(after)
    assert list(found["best_k_models"]) == [str(after / "best.ckpt")]
