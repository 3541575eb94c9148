"""What these tests share: of grids, settings and a count of what is computed; of the estimator, clips and settings."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenelet.experiments.results import CellResult
from scenelet.experiments.store import Store
from scenelet.experiments.systems import SystemTable, load_table_of_systems
from scenelet.training import preflight as early

BUDGET = """
base = "small"
precision = "fp32"

[features]
sample_rate = 8000
n_fft = 256
hop_length = 256
n_mels = 64

[window]
seconds = 0.6

[mixing]
time_roll = 2

[schedule]
epochs = 2
batch_size = 4

[prune]
epochs = 2
"""


@pytest.fixture
def budget(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(BUDGET)
    return str(path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the cells that are computed."""
    titles: list[str] = []
    original = Store.compute

    def count(self: Store, cell: object, description: str) -> CellResult:
        titles.append(description)
        return original(self, cell, description)

    monkeypatch.setattr(Store, "compute", count)
    return titles


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Once called, cells are asked for and not computed; gives their titles."""

    def stop() -> list[str]:
        titles: list[str] = []

        def pretend(self: Store, cell: object, description: str) -> CellResult:
            titles.append(description)
            return CellResult.model_validate_json(next((self.folder / "cells").iterdir()).read_bytes())

        monkeypatch.setattr(Store, "compute", pretend)
        return titles

    return stop


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> SystemTable:
    """Table 3 with its first two rows only."""
    systems = load_table_of_systems("table3")
    short = systems.model_copy(update={"rows": systems.rows[:2]})
    monkeypatch.setattr(early, "load_table_of_systems", lambda _: short)
    return short


@pytest.fixture(scope="session")
def clips(tone_set: Path) -> tuple[list[str], list[str], list[str]]:
    """Paths, labels and groups of the tone set."""
    rows = list(csv.DictReader(tone_set.read_text().splitlines()))
    paths = [str(tone_set.parent / row["filename"]) for row in rows]
    return paths, [row["label"] for row in rows], [row["group"] for row in rows]


@pytest.fixture(scope="session")
def tiny(tiny_settings: list[str]) -> dict[str, Any]:
    """The tiny settings by their keys, with few epochs."""
    pairs = [setting.partition("=")[::2] for setting in tiny_settings]
    return {key: yaml.safe_load(value) for key, value in pairs} | {
        "schedule.epochs": 2,
        "schedule.rate": 1e-2,
        "prune.epochs": 1,
    }
