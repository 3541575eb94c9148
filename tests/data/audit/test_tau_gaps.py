"""Gaps of TAU's mobile sets: each planted one is named in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.tau_roots import mobile_splits, write_tau_root
from scenelet.data.audit import tau_gaps
from scenelet.data.audit.findings import Finding
from scenelet.data.audit.tau_gaps import tau_gap_findings
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table

COUNTS = {"a": 12, "b": 6, "c": 6, "s1": 6, "s2": 6, "s3": 6, "s4": 2, "s5": 2, "s6": 2}
"""Segments of each device in a root of one scene."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClipTable:
    """A root of slices that is complete, because its own counts take the place of the published ones."""
    monkeypatch.setattr(tau_gaps, "DEVICE_SEGMENTS", COUNTS)
    root = write_tau_root(tmp_path / "tau", mobile_splits(slices=True, scenes=("bus",)))
    return load_table(root, min_classes=1)


def _without(table: ClipTable, is_absent: Callable[[str], bool]) -> list[Finding]:
    clips = tuple(clip for clip in table.clips if not is_absent(Path(clip.name).stem))
    assert len(clips) < len(table.clips)
    return list(tau_gap_findings(replace(table, clips=clips)))


def test_tau_gap_findings_complete_set_has_none(table: ClipTable) -> None:
    assert list(tau_gap_findings(table)) == []


def test_tau_gap_findings_missing_slices_are_named(table: ClipTable) -> None:
    absent = ("bus-lyon-100-1000-3-a", "bus-lyon-100-1000-7-a", "bus-milan-101-1010-0-s2")
    (finding,) = _without(table, lambda stem: stem in absent)
    assert (finding.severity, finding.kind, len(finding.clips)) == ("warning", "missing slices", 17)
    assert finding.message.startswith("2 segments lack slices (bus-lyon-100-1000-a: 3 7, bus-milan-101-1010-s2: 0);")


def test_tau_gap_findings_missing_devices_are_named(table: ClipTable) -> None:
    (finding,) = _without(table, lambda stem: stem.endswith(("-s5", "-c")))
    assert finding.kind == "missing device"
    assert finding.message.startswith("no recordings of devices c, s5, which the published set has; unpack all audio")
    (finding,) = _without(table, lambda stem: stem.endswith("-a"))
    assert finding.message.startswith("no recordings of device a, which the published set has;")


def test_tau_gap_findings_missing_segments_are_counted(table: ClipTable) -> None:
    (finding,) = _without(table, lambda stem: "-100-1000-" in stem and stem.endswith("-s3"))
    assert finding.kind == "missing segments"
    assert finding.message.startswith("fewer segments than in the published set: device s3 5 of 6; unpack all")


def test_tau_gap_findings_recording_of_main_device_is_named(table: ClipTable) -> None:
    counted, parallel = _without(table, lambda stem: stem.startswith("bus-lyon-100-1000") and stem.endswith("-a"))
    assert counted.message.startswith("fewer segments than in the published set: device a 11 of 12;")
    assert (parallel.kind, len(parallel.clips)) == ("missing recordings", 50)
    assert parallel.message.startswith("1 segment lacks the recording of device a (bus-lyon-100-1000), which")


def test_tau_gap_findings_of_published_counts(tmp_path: Path) -> None:
    """Devices b and c have fewer segments in the published set too, so they are compared with their own numbers."""
    table = load_table(write_tau_root(tmp_path / "tau", mobile_splits(False, ("bus", "tram"))))
    (finding,) = tau_gap_findings(table)
    assert "devices a 24 of 14,400, b 12 of 1,078, c 12 of 1,077, s1 12 of 1,080" in finding.message


@pytest.mark.parametrize("stems", [["bus-lyon-1-1-a", "tram-lyon-2-1-a"], ["bus-lyon-1-1-s1", "other"], ["bus-oslo-1"]])
def test_tau_gap_findings_of_other_tables_are_none(stems: list[str]) -> None:
    clips = tuple(Clip(Path(f"{stem}.wav"), f"{stem}.wav", stem.split("-")[0], stem) for stem in stems)
    assert list(tau_gap_findings(ClipTable(Path(), "CSV", clips))) == []
