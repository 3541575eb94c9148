"""Rows of a table of systems that another row teaches: when it is trained, and what a row's key depends on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from scenelet.data.load import load_table
from scenelet.errors import UsageError
from scenelet.experiments.reproduce import reproduce
from scenelet.experiments.store import Store, Trial, make_trial
from scenelet.experiments.systems import load_systems
from scenelet.training import run_record as runs
from scenelet.training.run_record import DataRecord
from scenelet.training.train import train

BUDGET = """
base = "comparison"
precision = "fp32"
features = { sample_rate = 8000, n_fft = 256, hop_length = 128, n_mels = 32 }
window = { seconds = 0.6 }
augment = { time_roll = 2 }
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
        return train(data, run, *arguments, **options)

    (folder / "mine.toml").write_text(TABLE)
    (folder / "tiny.toml").write_text(BUDGET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenelet.experiments.store.train", count)
        compared = reproduce(
            str(folder / "mine.toml"), tone_set, folder / "out", recipe=str(folder / "tiny.toml"), folds=["1"]
        )
    return compared, folder, trained


def cells(folder: Path, seed: int = 0, fold: str = "1") -> dict[str, Trial]:
    systems = load_systems(str(folder / "mine.toml"))
    return {row.name: make_trial(systems, row.name, str(folder / "tiny.toml"), fold, seed) for row in systems.rows}


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
    taught, alone = (torch.load(found[name] / runs.WEIGHTS, weights_only=True) for name in ("taught", "alone"))
    assert not all(torch.equal(value, alone[name]) for name, value in taught.items())


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
        with pytest.raises(UsageError, match="is of another table or recipe of this name"):
            reproduce(
                str(folder / "mine.toml"), tone_set, folder / "out", recipe=str(folder / "tiny.toml"), folds=["1"]
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
        load_systems(str(table))


def test_rows_that_teach_each_other_are_refused(table: Path) -> None:
    table.write_text(TABLE.replace('name = "wide"', 'name = "wide"\nteacher = "taught"'))
    with pytest.raises(UsageError, match="teach"):
        load_systems(str(table))
