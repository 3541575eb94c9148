"""Each pretrained model is small, documented, and gives the predictions stored next to it."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

import scenelet
from scenelet.cli.options import MODEL_HELP
from scenelet.inference.prediction import Prediction
from scenelet.model import pretrained
from scenelet.model.file import read_model
from scenelet.model.scene_model import SceneModel

EXAMPLE_OF = {"esc10": "1-100032-A.ogg"}  # the test clip that is the example
TOLERANCE = 5e-3  # the order of sums differs between processors


@pytest.fixture(params=pretrained.list_built_in())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def text_of(name: str, ending: str) -> str:
    """Return the text of a file that belongs to a model."""
    path = pretrained.built_in(name)
    assert path is not None
    return path.with_name(f"{name}.{ending}").read_text(encoding="utf-8")


def rows(name: str, ending: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text_of(name, ending).splitlines()))


def model_of(name: str) -> SceneModel:
    path = pretrained.built_in(name)
    assert path is not None
    return read_model(path)


def assert_close(prediction: object, row: dict[str, str]) -> None:
    """Check probabilities within the tolerance, and the label unless it is nearly a tie."""
    assert isinstance(prediction, Prediction)
    stored = np.array([float(row[label]) for label in prediction.probabilities])
    np.testing.assert_allclose(list(prediction.probabilities.values()), stored, atol=TOLERANCE)
    second, first = np.sort(stored)[-2:]
    assert prediction.label == row["predicted"] or first - second < 2 * TOLERANCE


def test_list_built_in_is_esc10() -> None:
    assert pretrained.list_built_in() == ["esc10"]
    assert all(name in MODEL_HELP for name in pretrained.list_built_in())
    assert pretrained.built_in("esc") is pretrained.example("esc") is None


def test_model_fits_the_limit_and_its_card_has_the_size(name: str) -> None:
    path = pretrained.built_in(name)
    assert path is not None
    assert path.stat().st_size <= 500_000
    assert f"one file of {path.stat().st_size:,} bytes" in text_of(name, "md")
    assert pretrained.card(path) == path.with_suffix(".md")


def test_card_has_the_metrics_of_the_predictions(name: str) -> None:
    card, predictions, labels = text_of(name, "md"), rows(name, "predictions.csv"), model_of(name).labels
    for label in labels:
        predicted = Counter(row["predicted"] for row in predictions if row["label"] == label)
        wrong = ", ".join(f"{other} {predicted[other]}" for other in labels if other != label and predicted[other])
        assert f"| {label} | {predicted.total()} | {predicted[label]} | {wrong} |" in card
    truth, predicted = [[row[key] for row in predictions] for key in ("label", "predicted")]
    assert f"| macro accuracy, % [95 %] | {100 * balanced_accuracy_score(truth, predicted):.2f} [" in card
    probabilities = np.array([[float(row[label]) for label in labels] for row in predictions])
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # undo the rounding
    assert f"| log loss [95 %] | {log_loss(truth, probabilities, labels=labels):.3f} [" in card


def test_training_clips_share_no_recording_with_test_clips(name: str) -> None:
    sources, predictions = rows(name, "sources.csv"), rows(name, "predictions.csv")
    assert len(sources) == sum(model_of(name).provenance["train_clips"].values())
    trained = {row["filename"].split("-")[1] for row in sources}  # FOLD-RECORDING-TAKE.ogg
    assert not trained & {row["group"] for row in predictions}
    assert not trained & {row["filename"].split("-")[1] for row in predictions}


def test_card_names_the_licenses_of_the_recordings(name: str) -> None:
    card, sources = text_of(name, "md"), rows(name, "sources.csv")
    for license, count in Counter(row["license"] for row in sources).items():
        (terms,) = {row["terms"] for row in sources if row["license"] == license}
        assert f"{count} {license} ({terms})" in card
    assert all(" by " in row["source"] and "http" in row["source"] for row in sources)
    held = model_of(name).licenses
    assert any("K. J. Piczak" in line and "creativecommons.org/licenses/by/3.0" in line for line in held)


def test_load_predicts_the_example_as_stored(name: str) -> None:
    example = pretrained.example(name)
    assert example is not None
    (row,) = [row for row in rows(name, "predictions.csv") if row["filename"] == EXAMPLE_OF[name]]
    assert_close(scenelet.load(name).predict(example), row)


def test_load_predicts_every_test_clip_as_stored(name: str, esc10: Path) -> None:
    stored = rows(name, "predictions.csv")
    predictions = scenelet.load(name).predict_many([esc10 / "audio" / row["filename"] for row in stored])
    for prediction, row in zip(predictions, stored, strict=True):
        assert_close(prediction, row)
