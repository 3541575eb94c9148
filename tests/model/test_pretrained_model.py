"""What comes with scenelet: each model fits, is documented, and gives the answers that stand beside it."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

import scenelet
from scenelet.cli.options import MODEL_HELP
from scenelet.inference.prediction import Prediction
from scenelet.model import file as modelfile
from scenelet.model import pretrained as models
from scenelet.model.scene_model import SceneModel

EXAMPLE_OF = {"esc10": "1-100032-A.ogg"}  # which of the test clips the example is
PROBABILITY = 5e-3  # weights are the same everywhere, the order of sums is not


@pytest.fixture(params=models.list_built_in())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def beside(name: str, ending: str) -> str:
    """Text of a file beside a model."""
    path = models.built_in(name)
    assert path is not None
    return path.with_name(f"{name}.{ending}").read_text(encoding="utf-8")


def rows(name: str, ending: str) -> list[dict[str, str]]:
    return list(csv.DictReader(beside(name, ending).splitlines()))


def model_of(name: str) -> SceneModel:
    path = models.built_in(name)
    assert path is not None
    return modelfile.read_model(path)


def assert_alike(prediction: object, row: dict[str, str]) -> None:
    """Probabilities as near as one processor is to another, and so the same label where it is no tie."""
    assert isinstance(prediction, Prediction)
    written = np.array([float(row[label]) for label in prediction.probabilities])
    np.testing.assert_allclose(list(prediction.probabilities.values()), written, atol=PROBABILITY)
    second, first = np.sort(written)[-2:]
    assert prediction.label == row["predicted"] or first - second < 2 * PROBABILITY


def test_there_is_esc10() -> None:
    assert models.list_built_in() == ["esc10"]
    assert all(name in MODEL_HELP for name in models.list_built_in())
    assert models.built_in("esc") is models.example("esc") is None


def test_it_fits_and_its_card_says_so(name: str) -> None:
    path = models.built_in(name)
    assert path is not None
    assert path.stat().st_size <= 500_000
    assert f"One file of {path.stat().st_size:,} bytes" in beside(name, "md")
    assert models.card(path) == path.with_suffix(".md")


def test_its_card_has_the_figures_of_its_answers(name: str) -> None:
    card, answers, labels = beside(name, "md"), rows(name, "predictions.csv"), model_of(name).labels
    for label in labels:
        said = Counter(row["predicted"] for row in answers if row["label"] == label)
        wrong = ", ".join(f"{other} {said[other]}" for other in labels if other != label and said[other])
        assert f"| {label} | {said.total()} | {said[label]} | {wrong} |" in card
    truth, said = [[row[key] for row in answers] for key in ("label", "predicted")]
    assert f"| macro accuracy, % [95 %] | {100 * balanced_accuracy_score(truth, said):.2f} [" in card
    shares = np.array([[float(row[label]) for label in labels] for row in answers])
    shares /= shares.sum(axis=1, keepdims=True)  # they were rounded
    assert f"| log loss [95 %] | {log_loss(truth, shares, labels=labels):.3f} [" in card


def test_it_learnt_from_nothing_that_was_recorded_with_a_test_clip(name: str) -> None:
    sources, answers = rows(name, "sources.csv"), rows(name, "predictions.csv")
    assert len(sources) == sum(model_of(name).provenance["train_clips"].values())
    learnt = {row["filename"].split("-")[1] for row in sources}  # FOLD-RECORDING-TAKE.ogg
    assert not learnt & {row["group"] for row in answers}
    assert not learnt & {row["filename"].split("-")[1] for row in answers}


def test_it_names_whose_recordings_these_are(name: str) -> None:
    card, sources = beside(name, "md"), rows(name, "sources.csv")
    for license, count in Counter(row["license"] for row in sources).items():
        (terms,) = {row["terms"] for row in sources if row["license"] == license}
        assert f"{count} {license} ({terms})" in card
    assert all(" by " in row["source"] and "http" in row["source"] for row in sources)
    held = model_of(name).licenses
    assert any("K. J. Piczak" in line and "creativecommons.org/licenses/by/3.0" in line for line in held)


def test_it_answers_its_example_as_written_down(name: str) -> None:
    example = models.example(name)
    assert example is not None
    (row,) = [row for row in rows(name, "predictions.csv") if row["filename"] == EXAMPLE_OF[name]]
    assert_alike(scenelet.load(name).predict(example), row)


def test_it_answers_as_its_card_says(name: str, esc10: Path) -> None:
    answers = rows(name, "predictions.csv")
    predictions = scenelet.load(name).predict_many([esc10 / "audio" / row["filename"] for row in answers])
    for prediction, row in zip(predictions, answers, strict=True):
        assert_alike(prediction, row)
