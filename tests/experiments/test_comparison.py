"""Comparisons: pooled over folds, averaged over seeds, and tested on shared clips."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

from helpers.example_trials import LABELS, device_result, make_result, random_result
from scenelet.config import RunConfig
from scenelet.experiments import comparison
from scenelet.experiments.comparison import SystemResult, compare
from scenelet.experiments.systems import PaperFigures, System, SystemTable

CONFIG = RunConfig(seed=3, precision="fp32")
TABLE = SystemTable(title="Two systems", reference="old", rows=(System(name="old"), System(name="new")))


def results(*, new: float = 0.9, folds: tuple[str, ...] = ("1", "2"), seeds: int = 2) -> list[SystemResult]:
    def result(index: int, skill: float) -> SystemResult:
        trials = [random_result(fold, seed, skill) for seed in range(seeds) for fold in folds]
        return SystemResult(TABLE.rows[index], CONFIG, trials, len(trials))

    return [result(0, 0.6), result(1, new)]


def rows_of(systems: list[SystemResult]) -> list[dict]:
    return compare(TABLE, systems, "data", "it", "comparison", False)["rows"]


def test_compare_agrees_with_scikit_learn() -> None:
    old = results(seeds=1)[0]
    row = rows_of(results(seeds=1))[0]
    clips = [clip for trial in old.trials for clip in trial.clips]
    truth = [LABELS.index(clip.label) for clip in clips]
    probabilities = np.array([clip.probabilities for clip in clips])
    assert row["macro_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(truth, probabilities.argmax(1)))
    assert row["log_loss"]["value"] == pytest.approx(log_loss(truth, probabilities), rel=1e-5)
    assert row["clips"] == 120
    assert row["groups"] == 40


def test_macro_accuracy_agrees_with_scikit_learn() -> None:
    old = results(seeds=1)[0]
    first = old.trials[0]
    truth = [LABELS.index(clip.label) for clip in first.clips]
    answers = np.array([clip.probabilities for clip in first.clips]).argmax(1)
    assert first.metrics["macro_accuracy"] == pytest.approx(balanced_accuracy_score(truth, answers))
    assert rows_of(results(seeds=1))[0]["by_trial"][0]["macro_accuracy"] == first.metrics["macro_accuracy"]


def test_compare_averages_seeds_clip_by_clip() -> None:
    row = rows_of(results(seeds=2))[0]
    values = [trial["macro_accuracy"] for trial in row["by_trial"]]
    assert len(values) == 4
    assert row["macro_accuracy"]["value"] == pytest.approx(np.mean(values))
    assert row["clips"] == 120


def test_compare_pools_folds_of_each_seed() -> None:
    row = rows_of(results(seeds=3))[0]
    by_trial = {(trial["held_out"], trial["seed"]): trial["macro_accuracy"] for trial in row["by_trial"]}
    assert [each["seed"] for each in row["by_seed"]] == [0, 1, 2]
    for each in row["by_seed"]:
        seed = each["seed"]
        assert each["macro_accuracy"] == pytest.approx((by_trial["1", seed] + by_trial["2", seed]) / 2)


def test_compare_of_equal_seeds_is_that_of_one() -> None:
    """Seeds are averaged per clip. So more of the same make no interval narrower and no p smaller."""
    once = results(seeds=1)
    again = [
        SystemResult(
            result.system, CONFIG, [t.model_copy(update={"seed": s}) for s in range(3) for t in result.trials], 6
        )
        for result in once
    ]
    for one, three in zip(rows_of(once), rows_of(again), strict=True):
        for name in ("macro_accuracy", "per_class", "against_reference", "clips", "groups"):
            assert one[name] == three[name]


def test_best_test_epoch_is_the_mean_of_each_trials_maximum() -> None:
    old, new = results(seeds=1)
    curves = [(0.25, 0.75, 0.5), (1.0, 0.5, 0.5)]
    trials = [trial.model_copy(update={"test_curve": curve}) for trial, curve in zip(old.trials, curves, strict=True)]
    rows = rows_of([SystemResult(old.system, CONFIG, trials, 2), new])
    assert [row["best_test_epoch"] for row in rows] == [0.875, None]
    half = [trials[0], old.trials[1]]
    assert rows_of([SystemResult(old.system, CONFIG, half, 2), new])[0]["best_test_epoch"] is None
    plain = rows_of([old, new])[0]
    assert rows[0] == plain | {"best_test_epoch": 0.875}  # no other figure uses the curve


def test_compare_finds_a_better_system_significant() -> None:
    old, new = rows_of(results(new=0.95))
    assert old["against_reference"] is None
    test = new["against_reference"]
    assert test["difference"]["low"] > 0
    assert test["p"] < 0.01
    assert test["clips"] == 120


def test_compare_finds_no_difference_between_equal_systems() -> None:
    old = results()[0]
    row = rows_of([old, SystemResult(TABLE.rows[1], CONFIG, old.trials, 4)])[1]
    assert (row["against_reference"]["difference"]["value"], row["against_reference"]["p"]) == (0.0, 1.0)


def test_compare_tests_unfinished_systems_on_shared_clips() -> None:
    old, new = results(seeds=1)
    rows = rows_of([SystemResult(old.system, CONFIG, old.trials[:1], 2), new])
    assert rows[1]["against_reference"]["clips"] == 60
    assert (rows[0]["trials"], rows[0]["trials_expected"]) == (1, 2)
    second_half = rows_of([SystemResult(old.system, CONFIG, old.trials[1:], 2), new])
    difference = new.trials[1].metrics["macro_accuracy"] - old.trials[1].metrics["macro_accuracy"]
    assert second_half[1]["against_reference"]["difference"]["value"] == pytest.approx(difference)


def test_compare_without_the_reference_makes_no_test() -> None:
    old, new = results(seeds=1)
    rows = rows_of([SystemResult(old.system, CONFIG, [], 2), new])
    assert rows[1]["against_reference"] is None
    assert "macro_accuracy" not in rows[0]


def test_compare_lists_settings_and_versions() -> None:
    old, new = results(seeds=1)
    compared = compare(TABLE, [old, new], "data", "it", "comparison", False)
    assert compared["versions"] == [{}]
    assert compared["rows"][0]["settings"] == {"precision": "fp32"}
    trials = [trial.model_copy(update={"versions": {"torch": "9"}}) for trial in new.trials]
    mixed = compare(TABLE, [old, SystemResult(new.system, CONFIG, trials, 2)], "data", "it", "comparison", False)
    assert mixed["versions"] == [{"torch": "9"}, {}]


def test_compare_computes_only_the_rows_whose_trials_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed, known = [], {}
    row = comparison._row

    def count(result: SystemResult, *answers: object) -> dict:
        computed.append(result.system.name)
        return row(result, *answers)

    monkeypatch.setattr(comparison, "_row", count)
    old, new = results()
    half = SystemResult(new.system, CONFIG, new.trials[:2], 4)
    for systems in ([old, half], [old, half], [old, new]):
        compared = compare(TABLE, systems, "data", "it", "comparison", False, known)
    assert computed == ["old", "new", "new"]
    assert compared["rows"] == rows_of([old, new])


SPLITS = SystemTable(
    title="Two splits",
    reference="5 %",
    mean_row="mean",
    rows=tuple(
        System(name=name, paper=PaperFigures(accuracy=accuracy, parameters="61K"))
        for name, accuracy in (("5 %", 42.4), ("100 %", 57.0))
    ),
)


def mean_row_of(*trials: list) -> dict:
    systems = [SystemResult(row, CONFIG, own, 1) for row, own in zip(SPLITS.rows, trials, strict=True)]
    return compare(SPLITS, systems, "data", "it", "comparison", False)["mean_row"]


def test_mean_row_is_the_mean_of_the_rows() -> None:
    few, all_clips = device_result({"a": 0.6, "s4": 0.2}, ("a",)), device_result({"a": 1.0, "s4": 0.8}, ("a",))
    mean = mean_row_of([few], [all_clips])
    assert mean["name"] == "mean"
    assert mean["macro_accuracy"]["value"] == pytest.approx((0.4 + 0.9) / 2)
    assert mean["log_loss"]["value"] == pytest.approx((few.metrics["log_loss"] + all_clips.metrics["log_loss"]) / 2)
    assert mean["per_device"]["s4"]["macro_accuracy"]["value"] == pytest.approx(0.5)
    assert mean["unseen_devices"]["macro_accuracy"]["value"] == pytest.approx(0.5)
    assert mean["paper"]["accuracy"] == pytest.approx(49.7)
    partly = SPLITS.model_copy(update={"rows": (SPLITS.rows[0], System(name="100 %"))})
    systems = [SystemResult(row, CONFIG, [few], 1) for row in partly.rows]
    assert compare(partly, systems, "data", "it", "comparison", False)["mean_row"]["paper"] is None


@pytest.mark.parametrize("opposite", [False, True])
def test_mean_row_draws_the_same_groups_for_all_rows(opposite: bool) -> None:
    """Rows that fail at the same places keep their interval. Rows that fail at opposite places have a constant mean."""
    first = device_result({"a": 0.5})
    places = {f"place {k}": f"place {19 - k}" for k in range(20)}
    clips = [replace(clip, group=places[clip.group], name=renamed(clip.name)) for clip in first.clips]
    mean = mean_row_of([first], [make_result("", clips) if opposite else first])["macro_accuracy"]
    own = rows_of_splits(first)
    assert mean["value"] == pytest.approx(0.5)
    if opposite:
        assert (mean["low"], mean["high"]) == pytest.approx((0.5, 0.5))
    else:
        assert mean == own


def renamed(name: str) -> str:
    """Name of the clip at the opposite place."""
    label, place, device = name.split("-")
    return f"{label}-{19 - int(place)}-{device}"


def rows_of_splits(trial: object) -> dict:
    systems = [SystemResult(row, CONFIG, [trial], 1) for row in SPLITS.rows]
    return compare(SPLITS, systems, "data", "it", "comparison", False)["rows"][0]["macro_accuracy"]


def test_mean_row_needs_the_same_clips_and_classes_of_all_rows() -> None:
    trial = device_result({"a": 0.5})
    other = trial.model_copy(update={"labels": ("indoor", "transportation", "outdoor")})
    for second in ([], [random_result("1", 0, 0.9)], [other]):
        assert mean_row_of([trial], second).keys() == {"name", "paper", "by_trial"}
        assert mean_row_of(second, [trial]).keys() == {"name", "paper", "by_trial"}
    assert compare(TABLE, results(), "data", "it", "comparison", False)["mean_row"] is None


def test_rows_have_devices_only_if_there_are_several() -> None:
    systems = [SystemResult(row, CONFIG, [device_result({"a": 0.5, "s4": 0.25}, ("a",))], 1) for row in TABLE.rows]
    row = rows_of(systems)[1]
    assert row["per_device"]["s4"]["macro_accuracy"]["value"] == pytest.approx(0.25)
    assert row["device_gap"]["value"] == pytest.approx(0.25)
    assert "per_device" not in rows_of(results())[1]
