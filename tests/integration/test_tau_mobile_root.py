"""Roots of the mobile sets with pieces of real recordings: load, check, train on a list, evaluate."""

import csv
import functools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from helpers.tau_roots import RATE, write_tau_root
from scenelet.config import SplitConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.audit.audit import audit
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.data.tau_sets import parse_name
from scenelet.training.train import train

SCENES = ("airport", "bus", "park")
TEST_GROUPS = ("paris-9", "barcelona-16", "helsinki-92")
TEST_DEVICES = ("s4",)


@functools.cache
def _segment(path: Path) -> np.ndarray:
    """Read a segment in mono at 44.1 kHz."""
    samples, rate = soundfile.read(path)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE))


def _recording(clips: Path, stem: str) -> np.ndarray:
    """Make the recording of a name from the real one of device a: a slice of it, and duller for s1 and s4."""
    name = parse_name(stem)
    assert name is not None
    mono = _segment(clips / f"{name.segment_name}-a.flac")
    if name.device != "a":
        mono = np.convolve(mono, np.ones(3 if name.device == "s1" else 6) / 6, mode="same")
    return mono if name.slice is None else mono[int(name.slice) * RATE :][:RATE]


def _splits(clips: Path, slices: bool) -> dict[str, str | None]:
    splits: dict[str, str | None] = {}
    for row in csv.DictReader((clips / "clips.csv").read_text().splitlines()):
        if row["scene"] in SCENES:
            segment = row["filename"].removesuffix("-a.flac")
            split = "test" if row["identifier"] in TEST_GROUPS else "train"
            for device in ("a", "s1", *(TEST_DEVICES if split == "test" else ())):
                for middle in [f"-{k}" for k in range(10)] if slices else [""]:
                    splits[f"{segment}{middle}-{device}"] = split
    return splits


def test_tau_2020_mobile_of_real_clips_loads(tau: Path, tmp_path: Path) -> None:
    splits = _splits(tau / "clips", slices=False)
    root = write_tau_root(tmp_path / "tau", splits, sound=lambda stem: _recording(tau / "clips", stem))
    table = load_table(root)
    assert table.source == "TAU root tau (2020 Mobile)"
    assert Counter(clip.device for clip in table.clips) == {"a": 9, "s1": 9, "s4": 3}
    assert len(table.groups) == 8
    info = soundfile.info(table.clips[0].path)
    assert (info.samplerate, info.channels, info.duration) == (44100, 1, 10.0)


def test_tau_2022_mobile_of_real_clips_trains_on_a_list(tau: Path, tmp_path: Path, tiny_settings: list[str]) -> None:
    splits = _splits(tau / "clips", slices=True)
    train_stems = [stem for stem, split in splits.items() if split == "train"]
    firsts = [stem for stem in train_stems if stem.endswith("-a")]
    root = write_tau_root(
        tmp_path / "tau",
        splits,
        sound=lambda stem: _recording(tau / "clips", stem),
        lists={25: firsts, 100: train_stems},
    )
    table = load_table(root)
    assert table.source == "TAU root tau (2022 Mobile)"
    assert Counter(clip.device for clip in table.clips) == {"a": 90, "s1": 90, "s4": 30}
    assert table.percentages == (25, 100)
    found = audit(table, 1.0, make_split(table, SplitConfig()), workers=1)
    assert [each.message for each in found if each.severity == "error"] == []
    assert "missing slices" not in {each.kind for each in found}
    changes = [*tiny_settings, "window.seconds=1", "schedule.epochs=1", "split.percent=25"]
    metrics = train(root, tmp_path / "run", load_recipe("demo", changes), recipe="demo")
    assert metrics["test"]["clips"] == 90
    rows = list(csv.DictReader((tmp_path / "run/split.csv").read_text().splitlines()))
    assert sorted(Path(row["filename"]).stem for row in rows if row["split"] == "train") == sorted(firsts)


@pytest.mark.parametrize("slices", [False, True])
def test_tau_mobile_of_real_clips_divides_no_location(tau: Path, tmp_path: Path, slices: bool) -> None:
    root = write_tau_root(tmp_path / "tau", _splits(tau / "clips", slices))
    split = make_split(load_table(root), SplitConfig())
    assert {clip.group for clip in split.train}.isdisjoint({clip.group for clip in split.test})
    assert {clip.group for clip in split.test} == set(TEST_GROUPS)
