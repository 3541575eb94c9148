"""Tests that run the commands of the page on recording devices, on tones that two devices recorded."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import doc_pages as pages


@pytest.fixture
def two_devices(examples: Path, device_set: Path) -> Path:
    """Write `meta.csv`, with the devices "a" and "phone"."""
    rows = list(csv.DictReader(device_set.read_text().splitlines()))
    names = {"a": "a", "s1": "phone"}
    lines = [
        f"{device_set.parent / row['filename']},{row['label']},{row['group']},{row['split']},{names[row['device']]}"
        for row in rows
        if row["device"] in names
    ]
    (examples / "meta.csv").write_text("\n".join(["filename,label,group,split,device", *lines]) + "\n")
    return examples


@pytest.mark.slow
def test_recording_devices_commands_run(two_devices: Path, tiny: None, run: Callable[[list[str]], str]) -> None:
    lines = pages.commands((pages.ROOT / "docs" / "recording_devices.md").read_text(encoding="utf-8"))
    printed = [(words[1], run(words[1:])) for words in lines]
    commands = ["train", "compress", "info", "train", "compress", "evaluate", "predict", "predict", "evaluate"]
    assert [name for name, _ in printed] == [*commands, "train", "compress", "evaluate"]
    assert "device phone only" not in printed[5][1]  # the clips of all devices
    for folder in ("models", "standardized"):
        assert {path.stem for path in (two_devices / folder).iterdir()} == {"general", "a", "phone"}
    for _, text in (printed[8], printed[11]):
        assert "Clips that each model answered: general 0, a 4, phone 4." in " ".join(text.split())
