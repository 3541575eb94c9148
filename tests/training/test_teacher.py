"""Runs with a teacher: their weights, their record, resume, and teachers that do not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scenelet.config import DistillationConfig, RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import RunError, SceneletError, UsageError
from scenelet.training.dataset import load_dataset
from scenelet.training.module import SceneModule
from scenelet.training.network import load_network
from scenelet.training.preflight import load_recorded_table
from scenelet.training.teacher import load_teachers
from scenelet.training.train import train

SETTINGS = ["network.repeats=1", "schedule.epochs=2", "schedule.ema_epochs=0", 'split.fold="1"']


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", [*tiny_settings, *SETTINGS])


@pytest.fixture(scope="module")
def teacher(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a wider network with another seed."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    network = config.network.model_copy(update={"width": 12})
    train(tone_set, run, config.model_copy(update={"network": network, "seed": 5}), recipe="wide")
    return run


@pytest.fixture(scope="module")
def distilled(tone_set: Path, config: RunConfig, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("distilled") / "run"
    train(tone_set, run, config, teachers=[teacher])
    return run


@pytest.fixture(scope="module")
def plain(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("plain") / "run"
    train(tone_set, run, config)
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    values: dict[str, torch.Tensor] = torch.load(run / runs.WEIGHTS, weights_only=True)
    return values


def same_weights(first: Path, second: Path) -> bool:
    """Return True if two runs ended with the same weights, bit for bit."""
    expected = weights(second)
    return all(torch.equal(value, expected[name]) for name, value in weights(first).items())


def test_teacher_changes_the_run_and_keeps_its_weights(plain: Path, distilled: Path, teacher: Path) -> None:
    before = weights(teacher)
    assert not same_weights(plain, distilled)
    _, record = runs.read_record(plain), runs.read_record(teacher)
    network = load_network(teacher, record)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert runs.read_record(plain).config == runs.read_record(distilled).config


def test_run_record_describes_the_teacher(plain: Path, distilled: Path, teacher: Path) -> None:
    assert runs.read_record(plain).teachers == ()
    (stored,) = json.loads((distilled / runs.RECORD).read_text())["teachers"]
    assert stored["path"] == str(teacher)
    assert stored["recipe"] == "wide"
    assert stored["network"]["width"] == 12


def test_teacher_with_all_of_the_loss_for_labels_changes_nothing(
    tone_set: Path, config: RunConfig, teacher: Path, plain: Path, tmp_path: Path
) -> None:
    only_labels = config.model_copy(update={"distillation": DistillationConfig(label_fraction=1.0)})
    train(tone_set, tmp_path / "run", only_labels, teachers=[teacher])
    assert same_weights(tmp_path / "run", plain)
    assert runs.read_record(tmp_path / "run").teachers


def test_resumed_run_keeps_its_teacher(
    tone_set: Path, config: RunConfig, teacher: Path, distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was interrupted in its second epoch ends as if it had not been. Another teacher is refused."""
    run, original, epochs = tmp_path / "run", SceneModule.on_train_epoch_start, []

    def interrupt_once(self: SceneModule) -> None:
        epochs.append((self.current_epoch, self.distillation is not None))
        if len(epochs) == 2:
            raise ConnectionAbortedError
        original(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", interrupt_once)
    with pytest.raises(ConnectionAbortedError):
        train(tone_set, run, config, teachers=[teacher])
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    torch.save({name: value + 1 for name, value in weights(other).items()}, other / runs.WEIGHTS)
    with pytest.raises(UsageError, match=r"was started with another teacher than .*other is now; resume it with "):
        train(tone_set, run, None, resume=True, teachers=[other])
    with pytest.raises(RunError, match="has not finished"):
        train(tone_set, run, None, resume=True, teachers=[run])
    with pytest.raises(RunError, match="has not finished"):
        train(tone_set, tmp_path / "next", config, teachers=[run])
    assert not (tmp_path / "next").exists()
    before = (run / runs.RECORD).read_bytes()
    train(tone_set, run, None, resume=True)
    assert epochs == [(0, True), (1, True), (1, True)]
    assert same_weights(run, distilled)
    assert (run / runs.RECORD).read_bytes() == before


def test_several_teachers_of_both_kinds_resume(
    tone_set: Path, config: RunConfig, teacher: Path, distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed run loads a network and a file again. It refuses another file, order or number of teachers."""
    config = config.model_copy(update={"distillation": DistillationConfig(temperature=2.0, label_fraction=0.2)})
    dataset = load_dataset(load_table(tone_set), config)
    logits = np.random.default_rng(0).normal(size=(len(dataset.train), 2))
    file, run, whole = tmp_path / "logits.npz", tmp_path / "run", tmp_path / "whole"
    np.savez(file, names=dataset.train.names, labels=dataset.labels, logits=logits)
    teachers = [teacher, file]
    train(tone_set, whole, config, teachers=teachers)
    assert not same_weights(whole, distilled)

    def interrupt(self: SceneModule) -> None:
        if self.current_epoch == 1:
            raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr(SceneModule, "on_train_epoch_start", interrupt)
        with pytest.raises(ConnectionAbortedError):
            train(tone_set, run, config, teachers=teachers)
    for others, words in (([file, teacher], "with another teacher than"), ([teacher], "with 2 teachers; resume it")):
        with pytest.raises(UsageError, match=words):
            train(tone_set, run, None, resume=True, teachers=others)
    kept = file.read_bytes()
    np.savez(file, names=dataset.train.names, labels=dataset.labels, logits=logits + 1)
    with pytest.raises(UsageError, match=r"with another teacher than .*logits\.npz is now"):
        train(tone_set, run, None, resume=True)
    file.write_bytes(kept)
    train(tone_set, run, None, resume=True)
    assert same_weights(run, whole)


def test_two_equal_teachers_equal_one(
    tone_set: Path, config: RunConfig, teacher: Path, distilled: Path, tmp_path: Path
) -> None:
    train(tone_set, tmp_path / "run", config, teachers=[teacher, teacher])
    assert same_weights(tmp_path / "run", distilled)


def test_load_teacher_with_changed_weights_raises(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    again, run = tmp_path / "again", tmp_path / "run"
    shutil.copytree(teacher, again)
    train(tone_set, run, config, teachers=[again])
    torch.save({name: value + 1 for name, value in weights(again).items()}, again / runs.WEIGHTS)
    with pytest.raises(UsageError, match=r"run: was started with another teacher than .*again is now"):
        train(tone_set, run, None, resume=True)


def test_load_teacher_without_crops_in_a_cropping_run_raises(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    settings = [*tiny_settings, *SETTINGS, "features.n_mels=40", "schedule.epochs=1"]
    dense, cropping = (
        ["network.name=dcase2020_baseline", "network.width=64", "network.repeats=3"],
        ["augment.crop_frames=16", "network.sub_bands=1"],
    )
    train(tone_set, tmp_path / "dense", load_recipe("paper_short", [*settings, *dense]))
    with pytest.raises(
        UsageError, match=r"dense: its network dcase2020_baseline takes complete windows only"
    ) as caught:
        train(
            tone_set,
            tmp_path / "run",
            load_recipe("paper_short", [*settings, *cropping]),
            teachers=[tmp_path / "dense"],
        )
    assert "set augment.crop_frames to 0" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_resume_with_a_teacher_that_was_not_there_raises(tone_set: Path, plain: Path, teacher: Path) -> None:
    with pytest.raises(UsageError, match="was started without a teacher"):
        train(tone_set, plain, None, teachers=[teacher], resume=True)


def test_resume_accepts_the_teacher_under_another_path(
    tone_set: Path, teacher: Path, distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.parent)
    train(tone_set, distilled, None, teachers=[Path("run")], resume=True)  # must not raise
    shutil.copytree(teacher, tmp_path / "moved")
    train(tone_set, distilled, None, teachers=[tmp_path / "moved"], resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('split.fold="2"', r"it was trained on 8 clips that are held out here \(high1\.wav\)"),
        ("split.validation_fraction=0.3", r"it was trained on \d clips that are held out here"),
    ],
)
def test_load_teacher_trained_on_held_out_clips_raises(
    change: str, words: str, tone_set: Path, tiny_settings: list[str], teacher: Path, tmp_path: Path
) -> None:
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, change])
    with pytest.raises(UsageError, match=words) as caught:
        train(tone_set, tmp_path / "run", config, teachers=[teacher])
    assert str(caught.value).startswith(f"--teacher {teacher}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("features.hop_length=64", "trained with different features"),
        ("window.pad_mode=repeat", "trained with different window"),
    ],
)
def test_load_teacher_with_other_features_raises(
    change: str, words: str, config: RunConfig, tiny_settings: list[str], teacher: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(load_recorded_table(runs.read_record(teacher).data), config)
    assert load_teachers(tmp_path / "run", [teacher], config, dataset).records
    with pytest.raises(UsageError, match=words):
        load_teachers(
            tmp_path / "run", [teacher], load_recipe("paper_short", [*tiny_settings, *SETTINGS, change]), dataset
        )


def test_load_teacher_with_other_labels_raises(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    table = tmp_path / "renamed.csv"
    table.write_text(tone_set.read_text().replace(",low,", ",deep,"))
    with pytest.raises(UsageError, match="it was trained with different labels"):
        train(load_table(table, tone_set.parent), tmp_path / "run", config, teachers=[teacher])
    assert not (tmp_path / "run").exists()


def test_load_teacher_with_other_clip_names_raises(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    """It may have been trained on clips that are held out, which other names would hide."""
    shutil.copytree(tone_set.parent, tmp_path / "moved" / "sub")
    lines = tone_set.read_text().splitlines()
    (tmp_path / "moved" / "tones.csv").write_text("\n".join([lines[0], *(f"sub/{line}" for line in lines[1:])]) + "\n")
    with pytest.raises(UsageError, match="its clips have other names than these"):
        train(tmp_path / "moved" / "tones.csv", tmp_path / "run", config, teachers=[teacher])


def without(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, "not a run folder"),
        (without(runs.WEIGHTS), "has not finished"),
        (without(runs.SPLIT), runs.SPLIT),
        (lambda run: (run / runs.SPLIT).write_text("a,b\n1,2\n"), "no columns filename and split"),
    ],
    ids=["no folder", "no weights", "no split", "another split"],
)
def test_load_teacher_from_an_incomplete_run_raises(
    damage: Callable[[Path], object], words: str, tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(teacher, broken)
    damage(broken)
    with pytest.raises(SceneletError, match=words):
        train(tone_set, tmp_path / "run", config, teachers=[broken])
    assert not (tmp_path / "run").exists()


def test_load_teacher_with_another_standardization_raises(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(load_table(tone_set), config)
    by_device = config.model_copy(update={"data": config.data.model_copy(update={"standardize": "device"})})
    with pytest.raises(UsageError, match=r"trained with different data\.standardize; give a teacher with the same"):
        load_teachers(tmp_path / "run", [teacher], by_device, dataset)
