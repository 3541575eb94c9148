"""A run that another one teaches: what it learns, what it remembers, and which teachers it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.config import RunConfig
from scenelet.data.sources import load_table
from scenelet.errors import RunError, SceneletError, UsageError
from scenelet.recipes import load_recipe
from scenelet.recipes.tables import load_table_of_systems
from scenelet.training import run as runs
from scenelet.training.module import SceneModule
from scenelet.training.run import DataRecord
from scenelet.workflows.fit import fit
from scenelet.workflows.grid import Cell, Store, cell_of
from scenelet.workflows.reproduce import reproduce
from scenelet.workflows.sides import load_sides
from scenelet.workflows.teacher import find_teacher

SETTINGS = ["network.repeats=1", "schedule.epochs=2", "schedule.average_epochs=0", 'split.fold="1"']


@pytest.fixture(scope="module")
def config(tiny_settings: list[str]) -> RunConfig:
    return load_recipe("fast", [*tiny_settings, *SETTINGS])


@pytest.fixture(scope="module")
def teacher(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider network of another seed."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    network = config.network.model_copy(update={"width": 12})
    fit(tone_set, run, config.model_copy(update={"network": network, "seed": 5}), recipe="wide", talk=False)
    return run


@pytest.fixture(scope="module")
def taught(tone_set: Path, config: RunConfig, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("taught") / "run"
    fit(tone_set, run, config, teacher=teacher, talk=False)
    return run


@pytest.fixture(scope="module")
def alone(tone_set: Path, config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    fit(tone_set, run, config, talk=False)
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
    network = runs.load_network(teacher, record)
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
    fit(tone_set, tmp_path / "run", config.model_copy(update={"distil": 0.0}), teacher=teacher, talk=False)
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
        fit(tone_set, run, config, teacher=teacher, talk=False)
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    for options in ({"teacher": other}, {"teacher": run}):
        with pytest.raises(UsageError, match=r"was begun with the teacher .*run; resume it with the same, or leave"):
            fit(tone_set, run, None, resume=True, talk=False, **options)
    with pytest.raises(RunError, match="has not finished"):
        fit(tone_set, tmp_path / "next", config, teacher=run, talk=False)
    assert not (tmp_path / "next").exists()
    before = (run / runs.RECORD).read_bytes()
    fit(tone_set, run, None, resume=True, talk=False)
    assert begun == [(0, True), (1, True), (1, True)]
    assert same(run, taught)
    assert (run / runs.RECORD).read_bytes() == before


def test_a_run_that_was_begun_without_a_teacher_gets_none(tone_set: Path, alone: Path, teacher: Path) -> None:
    with pytest.raises(UsageError, match="was begun with no teacher"):
        fit(tone_set, alone, None, teacher=teacher, resume=True, talk=False)


def test_the_same_teacher_may_be_named_again(
    tone_set: Path, teacher: Path, taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.parent)
    fit(tone_set, taught, None, teacher=Path("run"), resume=True, talk=False)


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
    config = load_recipe("fast", [*tiny_settings, *SETTINGS, change])
    with pytest.raises(UsageError, match=words) as caught:
        fit(tone_set, tmp_path / "run", config, teacher=teacher, talk=False)
    assert str(caught.value).startswith(f"--teacher {teacher}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"), [("features.hop_length=64", "other features"), ("window.fill=repeat", "other window")]
)
def test_a_teacher_of_other_features_is_refused(
    change: str, words: str, config: RunConfig, tiny_settings: list[str], teacher: Path, tmp_path: Path
) -> None:
    sides = load_sides(runs.read_record(teacher).data, config, None, talk=False)
    assert find_teacher(tmp_path / "run", teacher, config, sides) is not None
    with pytest.raises(UsageError, match=words):
        find_teacher(tmp_path / "run", teacher, load_recipe("fast", [*tiny_settings, *SETTINGS, change]), sides)


def test_a_teacher_of_other_labels_is_refused(tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path) -> None:
    table = tmp_path / "renamed.csv"
    table.write_text(tone_set.read_text().replace(",low,", ",deep,"))
    with pytest.raises(UsageError, match="it has other labels than this run"):
        fit(table, tmp_path / "run", config, teacher=teacher, audio_dir=tone_set.parent, talk=False)
    assert not (tmp_path / "run").exists()


def without(name: str) -> Callable[[Path], object]:
    return lambda run: (run / name).unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (shutil.rmtree, "not a run folder"),
        (without(runs.WEIGHTS), "has not finished"),
        (without(runs.SPLIT), runs.SPLIT),
    ],
    ids=["no folder", "no weights", "no split"],
)
def test_a_teacher_that_is_no_finished_run_is_refused(
    damage: Callable[[Path], object], words: str, tone_set: Path, config: RunConfig, teacher: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(teacher, broken)
    damage(broken)
    with pytest.raises(SceneletError, match=words):
        fit(tone_set, tmp_path / "run", config, teacher=broken, talk=False)
    assert not (tmp_path / "run").exists()


BUDGET = """
base = "small"
precision = "fp32"
features = { sample_rate = 8000, n_fft = 256, hop_length = 128, n_mels = 32 }
window = { seconds = 0.6 }
mixing = { time_roll = 2 }
schedule = { epochs = 1, batch_size = 8 }
"""
TABLE = """
title = "Taught"
reference = "alone"

[[rows]]
name = "taught"
teacher = "wide"
settings.network = { width = 4, repeats = 1 }

[[rows]]
name = "alone"
settings.network = { width = 4, repeats = 1 }

[[rows]]
name = "wide"
settings.network = { width = 8, repeats = 1 }
"""


@pytest.fixture(scope="module")
def grid(
    tone_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path, list[tuple[str, Any]]]:
    """The table, computed: what it says, its folder, and each training with its teacher, in their order."""
    folder, trained = tmp_path_factory.mktemp("grid"), []

    def count(data: Path, run: Path, *arguments: Any, **options: Any) -> dict[str, Any]:
        trained.append((run.name, options["teacher"]))
        return fit(data, run, *arguments, **options)

    (folder / "mine.toml").write_text(TABLE)
    (folder / "tiny.toml").write_text(BUDGET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenelet.workflows.grid.fit", count)
        compared = reproduce(
            str(folder / "mine.toml"), tone_set, folder / "out", budget=str(folder / "tiny.toml"), folds=["1"]
        )
    return compared, folder, trained


def cells(folder: Path, seed: int = 0, fold: str = "1") -> dict[str, Cell]:
    systems = load_table_of_systems(str(folder / "mine.toml"))
    return {row.name: cell_of(systems, row.name, str(folder / "tiny.toml"), fold, seed) for row in systems.rows}


def runs_of(tone_set: Path, folder: Path, **which: Any) -> dict[str, Path]:
    """Row -> the run folder of its training."""
    store = Store(folder / "out", DataRecord(path=str(tone_set)), load_table(tone_set))
    return {row: store.run_folder(cell) for row, cell in cells(folder, **which).items()}


def test_a_rows_teacher_is_trained_before_it_and_once(tone_set: Path, grid: tuple[Any, Path, Any]) -> None:
    compared, folder, trained = grid
    found = runs_of(tone_set, folder)
    assert trained == [(found["wide"].name, None), (found["taught"].name, found["wide"]), (found["alone"].name, None)]
    assert [row["cells"] for row in compared["rows"]] == [1, 1, 1]
    remembered = runs.read_record(found["taught"]).teacher
    assert remembered is not None
    assert remembered["run"] == str(found["wide"])
    assert not same(found["taught"], found["alone"])


def test_a_taught_row_is_another_cell(tone_set: Path, grid: tuple[Any, Path, Any]) -> None:
    """Also where its settings are those of a row without a teacher; another seed or fold has its own teacher."""
    _, folder, _ = grid
    assert cells(folder)["taught"].config == cells(folder)["alone"].config
    found = [path for which in ({}, {"seed": 1}, {"fold": "2"}) for path in runs_of(tone_set, folder, **which).values()]
    assert len({*found}) == 3 * 3
    for which in ({"seed": 1}, {"fold": "2"}):
        cell = cells(folder, **which)["taught"]
        assert cell.teacher == cells(folder, **which)["wide"]


def test_a_table_whose_row_has_another_teacher_now_is_not_written_over(
    tone_set: Path, grid: tuple[Any, Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder, _ = grid
    monkeypatch.setattr(Store, "compute", lambda *_: pytest.fail("the table would be written over"))
    (folder / "mine.toml").write_text(TABLE.replace('teacher = "wide"', 'teacher = "alone"'))
    try:
        with pytest.raises(UsageError, match="is of another table or budget of this name"):
            reproduce(
                str(folder / "mine.toml"), tone_set, folder / "out", budget=str(folder / "tiny.toml"), folds=["1"]
            )
    finally:
        (folder / "mine.toml").write_text(TABLE)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(TABLE)
    (tmp_path / "tiny.toml").write_text(BUDGET)
    return tmp_path / "mine.toml"


def test_a_students_key_depends_on_its_teachers_settings(tone_set: Path, table: Path) -> None:
    def key(old: str = "", new: str = "", row: str = "taught") -> Path:
        table.write_text(TABLE.replace(old, new) if old else TABLE)
        return runs_of(tone_set, table.parent)[row]

    known = key()
    assert key("width = 8", "width = 12") != known
    assert key('"wide"', '"called otherwise"') == known
    assert key("width = 8", "width = 12", row="alone") == key(row="alone") != known
    assert key('teacher = "wide"', 'teacher = "alone"') not in (known, key(row="alone"))


@pytest.mark.parametrize("name", ["wid", "taught"], ids=["no row", "itself"])
def test_a_teacher_that_is_no_other_row_is_refused(name: str, table: Path) -> None:
    table.write_text(TABLE.replace('teacher = "wide"', f'teacher = "{name}"'))
    with pytest.raises(UsageError, match=f"row 'taught': its teacher '{name}' is no other row"):
        load_table_of_systems(str(table))


def test_rows_that_teach_each_other_are_refused(table: Path) -> None:
    table.write_text(TABLE.replace('name = "wide"', 'name = "wide"\nteacher = "taught"'))
    with pytest.raises(UsageError, match="teach"):
        load_table_of_systems(str(table))
