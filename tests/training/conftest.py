"""Fixtures of the tests of training."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.training.train import train


@pytest.fixture(scope="session")
def clips(tone_set: Path) -> tuple[list[str], list[str], list[str]]:
    """Return the paths, labels and groups of the tone set."""
    rows = list(csv.DictReader(tone_set.read_text().splitlines()))
    paths = [str(tone_set.parent / row["filename"]) for row in rows]
    return paths, [row["label"] for row in rows], [row["group"] for row in rows]


@pytest.fixture(scope="session")
def tiny(tiny_settings: list[str]) -> dict[str, Any]:
    """Return the tiny settings by their keys, with few epochs."""
    pairs = [setting.partition("=")[::2] for setting in tiny_settings]
    return {key: yaml.safe_load(value) for key, value in pairs} | {
        "schedule.epochs": 2,
        "schedule.learning_rate": 1e-2,
        "prune.epochs": 1,
    }


@pytest.fixture(scope="session")
def finished_run(
    tone_set: Path, tiny_settings: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, RunConfig]:
    """Return the folder and settings of a finished run of one epoch. A test that changes a file restores it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = load_recipe("low_complexity", [*tiny_settings, "schedule.epochs=1", "split.fold=1"])
    train(tone_set, folder, config, recipe="low_complexity")
    return folder, config
