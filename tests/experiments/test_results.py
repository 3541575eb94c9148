"""Results of trials as JSON and CSV."""

import csv

import pytest
from sklearn.metrics import log_loss

from helpers.example_trials import LABELS, device_result, random_result
from scenelet.experiments.results import TrialResult, trials_csv


def test_trial_result_is_read_back_from_json() -> None:
    result = random_result("1", 0, 0.5)
    loaded = TrialResult.model_validate_json(result.model_dump_json())
    assert loaded.model_dump() == result.model_dump()
    assert [clip.predicted for clip in loaded.clips] == [clip.predicted for clip in result.clips]


def test_trials_csv_has_one_line_per_trial() -> None:
    trials = [(system, random_result(fold, seed, 0.9)) for system in ("old", "new") for seed in (0, 1) for fold in "12"]
    lines = list(csv.DictReader(trials_csv(trials).splitlines()))
    assert [(line["system"], line["held_out"], line["seed"]) for line in lines] == [
        (system, trial.held_out, str(trial.seed)) for system, trial in trials
    ]
    line, trial = lines[5], trials[5][1]
    assert (line["held_out"], line["seed"], line["clips"]) == ("2", "0", "60")
    assert float(line["macro_accuracy"]) == pytest.approx(trial.metrics["macro_accuracy"], abs=1e-6)
    truth = [LABELS.index(clip.label) for clip in trial.clips]
    probabilities = [clip.probabilities for clip in trial.clips]
    assert float(line["log_loss"]) == pytest.approx(log_loss(truth, probabilities), abs=1e-5)
    assert (line["parameters_kept"], line["bytes"], line["minutes"]) == ("40", "5000", "0.5")
    assert (line["file_difference"], line["other_labels"]) == ("", "")


def test_trial_result_of_an_older_version_has_no_devices() -> None:
    stored = random_result("1", 0, 0.5).model_dump(mode="json", exclude={"train_devices": True})
    for clip in stored["clips"]:
        del clip["device"]
    loaded = TrialResult.model_validate(stored)
    assert loaded.train_devices == ()
    assert {clip.device for clip in loaded.clips} == {None}


def test_trials_csv_shows_several_devices() -> None:
    trials = [("new", device_result({"a": 1.0, "s4": 0.5})), ("old", device_result({"a": 0.5}))]
    new, old = csv.DictReader(trials_csv(trials).splitlines())
    assert (new["macro_accuracy_a"], new["macro_accuracy_s4"]) == ("1.000000", "0.500000")
    assert (old["macro_accuracy_a"], old["macro_accuracy_s4"]) == ("0.500000", "")
    assert "macro_accuracy_a" not in trials_csv(trials[1:])


def test_trials_csv_shows_the_file_of_a_fine_tuned_trial() -> None:
    file = {"dtype": "int8", "sparsity": 0.6, "file_parts": {"weights": 900, "weights_bound": 850}}
    result = random_result("1", 0, 0.9).model_copy(update={**file, "file_difference": 0.0012, "other_labels": 2})
    (line,) = csv.DictReader(trials_csv([("new", result)]).splitlines())
    assert (line["dtype"], line["sparsity"], line["weights_bytes"], line["weights_bound"]) == (
        "int8", "0.6000", "900", "850",
    )  # fmt: skip
    assert (line["file_difference"], line["other_labels"]) == ("1.2e-03", "2")
