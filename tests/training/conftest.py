"""Fixtures of the tests of training."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml


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
        "schedule.learning_rate": 1e-2,
        "prune.epochs": 1,
    }
