"""A run that another one teaches: what it learns, what it remembers, and which teachers it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.errors import RunError, SceneletError, UsageError
from scenelet.training.dataset import load_dataset, load_recorded_table
from scenelet.training.module import SceneModule
from scenelet.training.network import load_network
from scenelet.training.teacher import load_teacher
from scenelet.training.train import train

SETTINGS = ["network.repeats=1", "schedule.epochs=2", "schedule.ema_epochs=0", 'split.fold="1"']


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", [*tiny_settings, *SETTINGS])


@pytest.fixture(scope="module")
def teacher(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider network of another seed."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    network = config.network.model_copy(update={"width": 12})
    train(tone_set, run, config.model_copy(update={"network": network, "seed": 5}), recipe="wide", verbose=False)
    return run


@pytest.fixture(scope="module")
def taught(tone_set: Path, config: RunConfig, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("taught") / "run"
    train(tone_set, run, config, teacher=teacher, verbose=False)
    return run


@pytest.fixture(scope="module")
def alone(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    train(tone_set, run, config, verbose=False)
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    values: dict[str, torch.Tensor] = torch.load(run / runs.WEIGHTS, weights_only=True)
    return values


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit."""
    theirs = weights(other)
    return all(torch.equal(value, theirs[name]) for name, value in weights(one).items())


def test_a_teacher_changes_what_is_learnt_and_is_not_changed_itself(alone: Path, taught: Path, teacher: Path) -> None:
    before = weights(teacher)
    assert not same(alone, taught)
    _, record = runs.read_record(alone), runs.read_record(teacher)
    network = load_network(teacher, record)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert runs.read_record(alone).config == runs.read_record(taught).config


def test_a_run_remembers_its_teacher(alone: Path, taught: Path, teacher: Path) -> None:
    assert runs.read_record(alone).teacher is None
    remembered = json.loads((taught / runs.RECORD).read_text())["teacher"]
    assert remembered["run"] == str(teacher)
    assert remembered["recipe"] == "wide"
    assert remembered["network"]["width"] == 12


def test_a_teacher_that_has_no_share_teaches_nothing(
    tone_set: Path, config: RunConfig, teacher: Path, alone: Path, tmp_path: Path
) -> None:
    train(tone_set, tmp_path / "run", config.model_copy(update={"distil": 0.0}), teacher=teacher, verbose=False)
    assert same(tmp_path / "run", alone)
    assert runs.read_record(tmp_path / "run").teacher is not None


def test_a_resumed_run_keeps_its_teacher(
    tone_set: Path, config: RunConfig, teacher: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in its second epoch and gone on with, it ends as if it had not been; another teacher is refused."""
    run, begin, begun = tmp_path / "run", SceneModule.on_train_epoch_start, []

    def cut_once(self: SceneModule) -> None:
        begun.append((self.current_epoch, self.teacher is not None))
        if len(begun) == 2:
            raise ConnectionAbortedError
        begin(self)

    monkeypatch.setattr(SceneModule, "on_train_epoch_start", cut_once)
    with pytest.raises(ConnectionAbortedError):
        train(tone_set, run, config, teacher=teacher, verbose=False)
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    torch.save({name: value + 1 for name, value in weights(other).items()}, other / runs.WEIGHTS)
    with pytest.raises(UsageError, match=r"was begun with another teacher than .*other is now; resume it with the one"):
        train(tone_set, run, None, resume=True, verbose=False, teacher=other)
    with pytest.raises(RunError, match="has not finished"):
        train(tone_set, run, None, resume=True, verbose=False, teacher=run)
    with pytest.raises(RunError, match="has not finished"):
        train(tone_set, tmp_path / "next", config, teacher=run, verbose=False)
    assert not (tmp_path / "next").exists()
    before = (run / runs.RECORD).read_bytes()
    train(tone_set, run, None, resume=True, verbose=False)
    assert begun == [(0, True), (1, True), (1, True)]
    assert same(run, taught)
    assert (run / runs.RECORD).read_bytes() == before


def test_a_teacher_that_was_trained_again_since_is_refused(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    again, run = tmp_path / "again", tmp_path / "run"
    shutil.copytree(teacher, again)
    train(tone_set, run, config, teacher=again, verbose=False)
    torch.save({name: value + 1 for name, value in weights(again).items()}, again / runs.WEIGHTS)
    with pytest.raises(UsageError, match=r"run: was begun with another teacher than .*again is now"):
        train(tone_set, run, None, resume=True, verbose=False)


def test_a_teacher_of_whole_windows_is_refused_where_windows_are_cut(
    tone_set: Path, tiny_settings: list[str], tmp_path: Path
) -> None:
    settings = [*tiny_settings, *SETTINGS, "features.n_mels=40", "schedule.epochs=1"]
    whole, cut = (
        ["network.name=dcase2020_baseline", "network.width=64", "network.repeats=3"],
        ["augment.crop_frames=16", "network.sub_bands=1"],
    )
    train(tone_set, tmp_path / "dense", load_recipe("paper_short", [*settings, *whole]), verbose=False)
    with pytest.raises(UsageError, match=r"dense: its network dcase2020_baseline takes whole windows only") as caught:
        train(
            tone_set,
            tmp_path / "run",
            load_recipe("paper_short", [*settings, *cut]),
            teacher=tmp_path / "dense",
            verbose=False,
        )
    assert "set augment.crop_frames to 0" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_begun_without_a_teacher_gets_none(tone_set: Path, alone: Path, teacher: Path) -> None:
    with pytest.raises(UsageError, match="was begun with no teacher"):
        train(tone_set, alone, None, teacher=teacher, resume=True, verbose=False)


def test_the_same_teacher_may_be_named_again_wherever_it_lies(
    tone_set: Path, teacher: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.parent)
    train(tone_set, taught, None, teacher=Path("run"), resume=True, verbose=False)
    shutil.copytree(teacher, tmp_path / "moved")
    train(tone_set, taught, None, teacher=tmp_path / "moved", resume=True, verbose=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('split.fold="2"', r"it learnt from 8 clips that are held out here \(high1\.wav\)"),
        ("split.validation_fraction=0.3", r"it learnt from \d clips that are held out here"),
    ],
)
def test_a_teacher_that_heard_what_is_held_out_is_refused_before_anything_is_written(
    change: str, words: str, tone_set: Path, tiny_settings: list[str], teacher: Path, tmp_path: Path
) -> None:
    config = load_recipe("paper_short", [*tiny_settings, *SETTINGS, change])
    with pytest.raises(UsageError, match=words) as caught:
        train(tone_set, tmp_path / "run", config, teacher=teacher, verbose=False)
    assert str(caught.value).startswith(f"--teacher {teacher}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"), [("features.hop_length=64", "other features"), ("window.pad_mode=repeat", "other window")]
)
def test_a_teacher_of_other_features_is_refused(
    change: str, words: str, config: RunConfig, tiny_settings: list[str], teacher: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(load_recorded_table(runs.read_record(teacher).data), config, None, verbose=False)
    assert load_teacher(tmp_path / "run", teacher, config, dataset) is not None
    with pytest.raises(UsageError, match=words):
        load_teacher(
            tmp_path / "run", teacher, load_recipe("paper_short", [*tiny_settings, *SETTINGS, change]), dataset
        )


def test_a_teacher_of_other_labels_is_refused(tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path) -> None:
    table = tmp_path / "renamed.csv"
    table.write_text(tone_set.read_text().replace(",low,", ",deep,"))
    with pytest.raises(UsageError, match="it has other labels than this run"):
        train(load_table(table, tone_set.parent), tmp_path / "run", config, teacher=teacher, verbose=False)
    assert not (tmp_path / "run").exists()


def test_a_teacher_whose_clips_are_called_otherwise_is_refused(
    tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    """It may have heard what is held out, and nothing would tell."""
    shutil.copytree(tone_set.parent, tmp_path / "moved" / "sub")
    lines = tone_set.read_text().splitlines()
    (tmp_path / "moved" / "tones.csv").write_text("\n".join([lines[0], *(f"sub/{line}" for line in lines[1:])]) + "\n")
    with pytest.raises(UsageError, match="its clips have other names than these"):
        train(tmp_path / "moved" / "tones.csv", tmp_path / "run", config, teacher=teacher, verbose=False)


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
def test_a_teacher_that_is_no_finished_run_is_refused(
    damage: Callable[[Path], object], words: str, tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(teacher, broken)
    damage(broken)
    with pytest.raises(SceneletError, match=words):
        train(tone_set, tmp_path / "run", config, teacher=broken, verbose=False)
    assert not (tmp_path / "run").exists()
