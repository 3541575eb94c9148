"""Results of a submission: the evaluation report that they come from."""

import hashlib
import json
from pathlib import Path

import pytest

from helpers.example_submission import report_values
from scenelet.errors import DataError
from scenelet.evaluation.submission.challenge import CHALLENGES
from scenelet.evaluation.submission.results import EvaluationReport, read_report, results

FIRST = CHALLENGES[2020]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no keys"),
        ("{}", "macro_accuracy"),
        (json.dumps(report_values(FIRST, macro_accuracy=91)), "macro_accuracy"),
        (json.dumps(report_values(FIRST, log_loss=float("nan"))), "log_loss"),
        (json.dumps(report_values(FIRST, per_class={"rain": {"accuracy": 1, "log_loss": 0}})), "rain"),
        (
            json.dumps(report_values(FIRST, per_class={"indoor": {"accuracy": None, "log_loss": None}})),
            "per_class.indoor.accuracy",
        ),
    ],
)
def test_read_report_rejects_other_files(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(DataError) as caught:
        read_report(path, FIRST)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "scenelet evaluate MODEL DATA --out DIR" in str(caught.value)


def test_check_model_refuses_the_report_of_another_model(tmp_path: Path) -> None:
    model, other, path = tmp_path / "m.scn", tmp_path / "other.scn", tmp_path / "report.json"
    model.write_bytes(b"one")
    other.write_bytes(b"two")
    path.write_text(json.dumps(report_values(FIRST, model=str(model), model_sha256=hashlib.sha256(b"one").hexdigest())))
    read_report(path, FIRST).check_model(path, str(model))
    read_report(path, FIRST).check_model(path, str(model.rename(tmp_path / "moved.scn")))
    with pytest.raises(DataError, match=rf"is not the report of {other} but of another model, {model}; run scenelet"):
        read_report(path, FIRST).check_model(path, str(other))
    model.write_bytes(b"three")
    with pytest.raises(DataError, match="another version of this file"):
        read_report(path, FIRST).check_model(path, str(model))


def test_check_model_refuses_the_report_of_a_folder_of_models(tmp_path: Path) -> None:
    model, path = tmp_path / "general.scn", tmp_path / "report.json"
    model.write_bytes(b"one")
    values = report_values(FIRST, model="models", model_sha256=hashlib.sha256(b"one").hexdigest())
    path.write_text(json.dumps({**values, "device_models": {"general": {"clips": 9, "sha256": "0", "bytes": 1}}}))
    with pytest.raises(DataError, match=rf"is the report of models, a folder of device models, not of {model}; run"):
        read_report(path, FIRST).check_model(path, str(model))


def test_mismatches_name_split_and_data(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report_values(FIRST)))
    assert read_report(path, FIRST).mismatches() == []
    path.write_text(json.dumps(report_values(FIRST, split="all", synthetic=True)))
    split, data = read_report(path, FIRST).mismatches()
    assert "'all'" in split
    assert "synthetic" in data
    path.write_text(json.dumps(report_values(FIRST, warning="not the\x1b split")))
    assert read_report(path, FIRST).mismatches() == [r"not the\x1b split"]


def test_results_of_devices_are_null_if_they_are_not_known() -> None:
    challenge = CHALLENGES[2022]
    values = report_values(challenge)
    values["per_device"] = {"a": {"macro_accuracy": 0.61, "log_loss": 1.1, "clips": 9}, "s1": {"macro_accuracy": None}}
    found = results(EvaluationReport.model_validate(values), challenge)["device_wise"]
    assert list(found) == list(challenge.devices)
    assert found["a"] == {"accuracy": 61.0, "logloss": 1.1}
    assert found["s1"] == found["s6"] == {"accuracy": None, "logloss": None}
    del values["per_device"]
    assert results(EvaluationReport.model_validate(values), challenge)["device_wise"] is None
    assert "device_wise" not in results(EvaluationReport.model_validate(report_values(FIRST)), FIRST)
