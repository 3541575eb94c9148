"""Fixtures of the tests of experiments: a fast recipe, small tables, and computation without training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet.experiments.compute import compute_trial
from scenelet.experiments.results import TrialResult
from scenelet.experiments.store import Store
from scenelet.experiments.trial import Trial

RECIPE = """
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
TWO_SYSTEMS = """
title = "Two systems"
reference = "narrow"

[[rows]]
name = "narrow"
settings.network = { width = 4, repeats = 1 }

[[rows]]
name = "wide"
settings.network = { width = 8, repeats = 1 }
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """Path of a recipe that trains in a second."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def two_systems(tmp_path: Path) -> str:
    """Path of a table of two small networks."""
    path = tmp_path / "two.toml"
    path.write_text(TWO_SYSTEMS)
    return str(path)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the trials that `reproduce` computes."""
    titles: list[str] = []

    def count(store: Store, trial: Trial, description: str, test_curve: bool) -> TrialResult:
        titles.append(description)
        return compute_trial(store, trial, description, test_curve)

    monkeypatch.setattr("scenelet.experiments.reproduce.compute_trial", count)
    return titles


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A function that replaces all later computation with a stored result, and returns the titles of the trials."""

    def stop() -> list[str]:
        titles: list[str] = []

        def pretend(store: Store, trial: Trial, description: str, test_curve: bool) -> TrialResult:
            titles.append(description)
            return TrialResult.model_validate_json(next((store.folder / "trials").iterdir()).read_bytes())

        monkeypatch.setattr("scenelet.experiments.reproduce.compute_trial", pretend)
        return titles

    return stop
