"""A run with teachers: which trainings it is made of, and that it goes on where it was cut."""

from pathlib import Path

import pytest
import torch

from scenelet.recipes import load_recipe
from scenelet.training import run as runs
from scenelet.training.module import SceneModule
from scenelet.workflows.fit import TEACHERS, fit, trainings

SETTINGS = ["schedule.epochs=2", 'split.fold="1"']
TAUGHT = "distil.teachers=1"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(run / runs.WEIGHTS, weights_only=True))


def alike(one: Path, other: Path) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_runs_of_other_seeds_share_no_training() -> None:
    of = {seed: trainings(load_recipe("fast", ["distil.teachers=2", f"seed={seed}"])) for seed in (0, 1)}
    assert [one.seed for one in of[0] + of[1]] == [0, 1, 2, 3, 4, 5]
    assert of[1][0] == load_recipe("fast", ["seed=3"])
    assert trainings(load_recipe("fast", ["seed=7"])) == [load_recipe("fast", ["seed=7"])]


def test_a_taught_run_goes_on_where_it_was_cut(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_recipe("fast", [*tiny_settings, *SETTINGS, TAUGHT])
    metrics = fit(tone_set, tmp_path / "whole", config, cache_dir=tmp_path / "cache")
    begin, begun = SceneModule.on_train_epoch_start, []

    def cut_once(self: SceneModule) -> None:
        begun.append((len(self.teachers), self.current_epoch))
        if len(begun) == 4:
            raise ConnectionAbortedError
        begin(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", cut_once)
    with pytest.raises(ConnectionAbortedError):
        fit(tone_set, tmp_path / "cut", config, cache_dir=tmp_path / "cache")
    resumed = fit(tone_set, tmp_path / "cut", None, resume=True, cache_dir=tmp_path / "cache")
    assert begun == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 1)]
    assert alike(tmp_path / "cut", tmp_path / "whole")
    assert resumed["test"] == metrics["test"]
    assert metrics["minutes"] > sum(row["seconds"] for row in metrics["history"]) / 60


def test_the_teacher_is_a_run_of_its_own_and_teaches(tone_set: Path, tiny_settings: list[str], tmp_path: Path) -> None:
    for name, changes in {"taught": [TAUGHT], "first": ["seed=0"], "second": ["seed=1"]}.items():
        config = load_recipe("fast", [*tiny_settings, *SETTINGS, *changes])
        fit(tone_set, tmp_path / name, config, cache_dir=tmp_path / "cache")
    assert alike(tmp_path / "taught" / TEACHERS / "1", tmp_path / "first")
    assert not alike(tmp_path / "taught", tmp_path / "second")  # the same training, but for the labels
