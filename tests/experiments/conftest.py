"""Fixtures of the tests of experiments."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.experiments import plan as plan_module
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store
from scenelet.experiments.systems import SystemTable, load_systems

BUDGET = """
base = "comparison"
precision = "fp32"

[features]
sample_rate = 8000
n_fft = 256
hop_length = 256
n_mels = 64

[window]
seconds = 0.6

[augment]
time_roll = 2

[schedule]
epochs = 2
batch_size = 4

[prune]
epochs = 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(BUDGET)
    return str(path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the cells that are computed."""
    titles: list[str] = []
    original = Store.compute

    def count(self: Store, cell: object, description: str) -> TrialResult:
        titles.append(description)
        return original(self, cell, description)

    monkeypatch.setattr(Store, "compute", count)
    return titles


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Once called, cells are asked for and not computed; gives their titles."""

    def stop() -> list[str]:
        titles: list[str] = []

        def pretend(self: Store, cell: object, description: str) -> TrialResult:
            titles.append(description)
            return TrialResult.model_validate_json(next((self.folder / "cells").iterdir()).read_bytes())

        monkeypatch.setattr(Store, "compute", pretend)
        return titles

    return stop


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> SystemTable:
    """Table 3 with its first two rows only."""
    systems = load_systems("table3")
    short = systems.model_copy(update={"rows": systems.rows[:2]})
    monkeypatch.setattr(plan_module, "load_systems", lambda _: short)
    return short
