"""False alarms in the report and in the model file."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from helpers.example_report import make_prediction
from helpers.tiny_model import changed, tiny_model
from scenelet.errors import ModelFileError, UsageError
from scenelet.evaluation.alarm_report import alarm_report, alarm_rows, alarm_table, check_storable, store_thresholds
from scenelet.evaluation.false_alarms import AlarmCounts, find_thresholds
from scenelet.inference.threshold import label_thresholds
from scenelet.model.file import read_model, stored_lengths, write_model
from scenelet.model.pretrained import built_in

LABELS = ("indoor", "outdoor", "transportation")
COUNTS = AlarmCounts(
    labels=("indoor", "outdoor"),
    thresholds=np.array([0.5, 0.7, 0.9, math.inf]),
    parts=np.array([[[8, 3, 1, 0], [2, 2, 2, 0]]]),
    part_hours=np.array([4.0]),
    recordings=3,
)
CLIPS = [
    make_prediction("1", "indoor", LABELS, (0.95, 0.05, 0.0), "1"),
    make_prediction("2", "indoor", LABELS, (0.8, 0.1, 0.1), "2"),
    make_prediction("3", "indoor", LABELS, (0.4, 0.3, 0.3), "3"),
    make_prediction("4", "outdoor", LABELS, (0.9, 0.1, 0.0), "4"),
    make_prediction("5", "transportation", LABELS, (0.0, 0.0, 1.0), "5"),  # the background
]


def report_of(target: float = 0.75, hours: float = 4.0) -> dict:
    counts = replace(COUNTS, part_hours=np.array([hours]))
    return alarm_report(counts, 0.5, find_thresholds(counts, 0.5, target), target, CLIPS)


def test_report_states_alarms_and_recall_before_and_after() -> None:
    report = report_of()
    indoor, outdoor, total = (*report["per_label"].values(), report["total"])
    assert (indoor["before"]["threshold"], indoor["after"]["threshold"]) == (0.5, 0.9)
    assert (indoor["before"]["alarms"], indoor["after"]["alarms"]) == (8, 1)
    assert (indoor["before"]["recall"], indoor["after"]["recall"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (outdoor["after"]["threshold"], outdoor["after"]["alarms"], outdoor["after"]["recall"]) == (0.5, 2, 0.0)
    assert (total["clips"], total["before"]["recall"], total["after"]["recall"]) == (4, 0.5, 0.25)
    assert total["after"]["per_hour"]["value"] == 0.75
    assert total["after"]["per_hour"]["low"] < 0.75 < total["after"]["per_hour"]["high"]
    assert report["warning"] is None or "too few" in report["warning"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def whole_report(path: Path, target: float) -> dict:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"model_sha256": sha256, "false_alarms": report_of(target)}


@pytest.mark.parametrize(("hours", "is_short"), [(2.9, True), (3.0, False)])
def test_report_warns_of_too_few_hours(hours: float, is_short: bool) -> None:
    warning = report_of(target=1.0, hours=hours)["warning"]
    assert (warning is not None) == is_short
    if is_short:
        assert "2.9 h of background are too few for a target of 1 per hour" in warning
        assert "record 3 h or more" in warning


def test_table_shows_labels_with_alarms_and_the_total() -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(alarm_table(report_of()))
    lines = [line.split() for line in captured.get().splitlines()]
    assert "3 recordings of background, 4.00 h: 2.50 [1.20, 4.60] false alarms per hour" in " ".join(
        captured.get().split()
    )
    assert ["indoor", "50", "->", "90", "8", "->", "1"] in [line[:7] for line in lines]
    assert any(line[:2] == ["all", "2"] for line in lines)
    never = report_of(target=0.01)
    assert alarm_rows(never)[0][1] == "50 -> never"


def test_stored_thresholds_are_read_and_weights_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    write_model(changed(tiny_model(), results={"threshold": {"probability": 0.6}}), path)
    before = path.read_bytes()
    store_thresholds(path, whole_report(path, target=0.3))
    stored = read_model(path)
    assert label_thresholds(stored) == (0.9, math.inf, 0.6)
    assert stored.results["threshold"] == {"probability": 0.6}
    found = stored.results["label_thresholds"]
    assert (found["false_alarms_per_hour"], found["hours"]) == (0.3, 4.0)
    assert set(found["probabilities"]) == {"indoor", "outdoor"}
    sections = sum(stored_lengths(before)[1].values())
    assert path.read_bytes()[-32 - sections : -32] == before[-32 - sections : -32]
    assert stored_lengths(path.read_bytes())[1] == stored_lengths(before)[1]
    later = whole_report(path, target=0.75)
    store_thresholds(path, later)
    assert label_thresholds(read_model(path)) == (0.9, 0.5, 0.6)
    with pytest.raises(ModelFileError, match=r"m\.scn: has changed while it was evaluated"):
        store_thresholds(path, later)


def test_built_in_models_are_not_changed(tmp_path: Path) -> None:
    path = built_in("esc10")
    for name in ("esc10", str(path)):
        with pytest.raises(UsageError, match="is a built-in model; copy"):
            check_storable(name)
    (tmp_path / "m.scn").write_bytes(b"")
    assert check_storable(str(tmp_path / "m.scn")) == tmp_path / "m.scn"


def test_read_only_models_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "m.scn"
    path.write_bytes(b"")
    path.chmod(0o444)
    with pytest.raises(UsageError, match=r"m\.scn is read-only; make it writable"):
        check_storable(str(path))


def test_a_link_to_a_model_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "m.scn", tmp_path / "current.scn"
    write_model(tiny_model(), path)
    link.symlink_to(path.name)
    store_thresholds(link, whole_report(path, target=0.3))
    assert link.is_symlink()
    assert "label_thresholds" in read_model(path).results
