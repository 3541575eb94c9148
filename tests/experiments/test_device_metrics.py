"""Metrics of recording devices in a comparison: a predictor whose accuracy on each device is planted."""

import numpy as np
import pytest

from helpers.example_trials import device_result, random_result
from scenelet.experiments.answers import mean_answers, pool
from scenelet.experiments.device_metrics import device_metrics, device_table

PLANTED = {"a": 1.0, "b": 0.8, "s4": 0.5}


def metrics_of(*trials: object) -> dict:
    return device_metrics(pool(trials), np.random.default_rng(0))


def test_device_metrics_of_a_planted_predictor_are_exact() -> None:
    found = metrics_of(device_result(PLANTED, ("a", "b")))
    for device, accuracy in PLANTED.items():
        own = found["per_device"][device]
        assert own["clips"] == 60
        assert own["macro_accuracy"]["value"] == pytest.approx(accuracy)
        assert own["log_loss"]["value"] == pytest.approx(-accuracy * np.log(0.8) - (1 - accuracy) * np.log(0.1))
        for name in ("macro_accuracy", "log_loss"):
            assert own[name]["low"] - 1e-9 <= own[name]["value"] <= own[name]["high"] + 1e-9
    assert {device: own["seen_in_training"] for device, own in found["per_device"].items()} == {
        "a": True,
        "b": True,
        "s4": False,
    }
    assert found["seen_devices"]["macro_accuracy"]["value"] == pytest.approx(0.9)
    assert found["unseen_devices"]["macro_accuracy"]["value"] == pytest.approx(0.5)
    assert found["device_gap"]["value"] == pytest.approx(0.4)
    assert found["device_gap"]["low"] < 0.4 < found["device_gap"]["high"]


def test_device_gap_draws_the_same_groups_for_both_sides() -> None:
    """Seen and unseen devices fail at the same locations, so every draw gives the same difference."""
    gap = metrics_of(device_result({"a": 0.5, "s4": 0.5}, ("a",)))["device_gap"]
    assert (gap["value"], gap["low"], gap["high"]) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_device_metrics_of_one_device_or_none_are_empty() -> None:
    assert metrics_of(device_result({"a": 0.5}, ("a",))) == {}
    assert metrics_of(random_result("1", 0, 0.5)) == {}
    assert device_table([{"name": "old"}]) == []


def test_device_metrics_with_unknown_training_have_no_unseen() -> None:
    """As those of a trial that an older version stored."""
    found = metrics_of(device_result(PLANTED))
    assert list(found) == ["per_device"]
    assert {own["seen_in_training"] for own in found["per_device"].values()} == {None}


def test_device_seen_by_some_trials_is_neither_seen_nor_unseen() -> None:
    trials = [
        device_result({"a": 1.0, "b": 0.5}, trained).model_copy(update={"held_out": fold})
        for fold, trained in (("1", ("a", "b")), ("2", ("a",)))
    ]
    found = metrics_of(*trials)
    assert found["per_device"]["a"]["seen_in_training"] is True
    assert found["per_device"]["b"]["seen_in_training"] is None
    assert (found["seen_devices"]["clips"], found["unseen_devices"]["clips"]) == (180, 60)


def cells_of(lines: list[str]) -> list[list[str]]:
    """The cells of a table's header and rows."""
    header, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return [header, *rows]


def test_device_table_has_a_row_per_system_and_a_column_per_device() -> None:
    rows = [{"name": name, **metrics_of(device_result(PLANTED, ("a", "b")))} for name in ("old", "new")]
    lines = device_table(rows)
    header, old, new = cells_of(lines)
    assert header == ["system", "a", "b", "s4", "all seen", "all unseen", "seen minus unseen, points"]
    assert (old[0], new[0]) == ("old", "new")
    values = [float(cell.split(" ")[0]) for cell in old[1:]]
    assert values == [100.0, 80.0, 50.0, 90.0, 50.0, 40.0]
    assert "only the devices that all rows" not in "\n".join(lines)


def test_device_table_marks_the_devices_that_a_row_was_not_trained_on() -> None:
    """The rows were trained on other devices, so that one has seen what another has not."""
    trained = {"small": ("a",), "large": ("a", "b")}
    pooled = {name: pool([device_result(PLANTED, devices)]) for name, devices in trained.items()}
    rows = [{"name": name, **device_metrics(own, np.random.default_rng(0))} for name, own in pooled.items()]
    mean = {"name": "mean", **device_metrics(mean_answers([*pooled.values()]), np.random.default_rng(0))}
    lines = device_table(rows, mean)
    cells = cells_of(lines)
    marked = {row[0]: [name for name, cell in zip(cells[0], row, strict=True) if cell.endswith("*")] for row in cells}
    assert marked == {"system": [], "small": ["b", "s4"], "large": ["s4"], "mean": ["s4"]}
    text = "\n".join(lines)
    assert "- *: no training clip of this row comes from the device." in text
    assert "'mean': all seen and all unseen have only the devices that all rows have seen, or have not." in text
    assert float(cells[3][4].split(" ")[0]) == 100.0  # of device a alone
    assert "all rows have seen" not in "\n".join(device_table(rows))
    assert "- *:" not in "\n".join(device_table([{"name": "old", **metrics_of(device_result(PLANTED))}]))
