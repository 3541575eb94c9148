"""Metrics against scikit-learn, and against hand calculation if a class is absent."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from scenelet.evaluation import metrics


def _case(seed: int, clips: int, classes: int, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, clips), rng.dirichlet(np.full(classes, 0.3), clips).astype(dtype)


@given(st.integers(0, 999), st.integers(1, 60), st.integers(2, 12), st.sampled_from([np.float32, np.float64]))
def test_metrics_agree_with_scikit_learn(seed: int, clips: int, classes: int, dtype: type) -> None:
    targets, probabilities = _case(seed, clips, classes, dtype)
    answers, labels = probabilities.argmax(axis=1), list(range(classes))
    confusion = metrics.confusion_matrix(targets, answers, classes)
    with warnings.catch_warnings():  # scikit-learn warns about absent classes
        warnings.simplefilter("ignore")
        assert (confusion == reference.confusion_matrix(targets, answers, labels=labels)).all()
        assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(targets, answers))
        assert metrics.macro_accuracy(confusion) == pytest.approx(reference.balanced_accuracy_score(targets, answers))
        recall = reference.recall_score(targets, answers, labels=labels, average=None, zero_division=np.nan)
        np.testing.assert_allclose(metrics.per_class_accuracy(confusion), recall)
        expected = reference.log_loss(targets, probabilities, labels=labels)
        assert metrics.log_loss(targets, probabilities) == pytest.approx(expected, rel=1e-5, abs=1e-6)
        for k, loss in enumerate(metrics.per_class_log_loss(targets, probabilities)):
            if (targets == k).any():
                expected = reference.log_loss(targets[targets == k], probabilities[targets == k], labels=labels)
                assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
            else:
                assert np.isnan(loss)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_a_certain_mistake_is_minus_ln_eps(dtype: type) -> None:
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]], dtype)
    loss = metrics.log_loss([0, 1], probabilities)
    assert loss == pytest.approx(-np.log(np.finfo(dtype).eps) / 2)
    assert loss == pytest.approx(reference.log_loss([0, 1], probabilities))


def test_confusion_matrix_has_a_row_per_true_class() -> None:
    assert metrics.confusion_matrix([0, 0, 0, 1], [1, 1, 0, 1], 3).tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_classification_report_is_json_with_an_absent_class() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32)
    got = metrics.classification_report([0, 1, 1], probabilities, ["a", "b", "c"])
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["clips"] == 3
    assert got["accuracy"] == pytest.approx(2 / 3)
    assert got["macro_accuracy"] == pytest.approx(0.75)
    assert got["log_loss"] == pytest.approx(-np.log([0.5, 0.25, 0.8]).mean(), rel=1e-6)
    assert got["per_class"]["b"] == {
        "accuracy": 0.5,
        "precision": 1.0,
        "f1": pytest.approx(2 / 3),
        "log_loss": pytest.approx(-np.log([0.25, 0.8]).mean(), rel=1e-6),
        "clips": 2,
    }
    assert got["per_class"]["c"] == {
        "accuracy": None,
        "precision": None,
        "f1": None,
        "log_loss": None,
        "clips": 0,
    }
    assert got["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("targets", "probabilities", "words"),
    [
        ([], np.zeros((0, 2)), "at least one"),
        ([0.0], [[0.5, 0.5]], "class indices"),
        ([2], [[0.5, 0.5]], "from 0 to 1"),
        ([-1], [[0.5, 0.5]], "from 0 to 1"),
        ([0, 1], [[0.5, 0.5]], "2 targets but 1"),
        ([0], [[0.5, np.nan]], "numbers from 0 to 1"),
        ([0], [[1.5, -0.5]], "numbers from 0 to 1"),
        ([0], [0.5, 0.5], "numbers from 0 to 1"),
        ([0], [[0.2, 0.3, 0.5]], "3 probabilities per clip but 2 labels"),
    ],
)
def test_classification_report_rejects_invalid_values(
    targets: list[int], probabilities: list[list[float]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        metrics.classification_report(targets, probabilities, ["a", "b"])


def test_reliability_agrees_with_hand_calculation() -> None:
    # five bins: of 0.5 and 0.55 one is correct, of 0.9, 0.95 and 1.0 two are
    probabilities = np.array([[0.5, 0.3, 0.2], [0.25, 0.55, 0.2], [0.9, 0.1, 0], [0.05, 0.95, 0], [1.0, 0, 0]])
    found = metrics.reliability([0, 0, 0, 0, 0], probabilities, bins=5)
    assert [row["clips"] for row in found["bins"]] == [0, 0, 2, 0, 3]
    assert [row["right"] for row in found["bins"]] == [0, 0, 1, 0, 2]
    assert found["bins"][2]["confidence"] == pytest.approx(0.525)
    assert found["bins"][2]["accuracy"] == pytest.approx(0.5)
    assert found["bins"][0]["accuracy"] is found["bins"][0]["confidence"] is None
    assert (found["bins"][1]["low"], found["bins"][1]["high"]) == pytest.approx((0.2, 0.4))
    assert found["ece"] == pytest.approx((2 * (0.525 - 0.5) + 3 * (2.85 / 3 - 2 / 3)) / 5)
    json.dumps(found, allow_nan=False)


@given(st.integers(0, 999), st.integers(1, 200), st.integers(2, 12), st.integers(1, 20))
def test_reliability_agrees_with_scikit_learn(seed: int, clips: int, classes: int, bins: int) -> None:
    targets, probabilities = _case(seed, clips, classes)
    found = metrics.reliability(targets, probabilities, bins)
    hits = probabilities.argmax(axis=1) == targets
    accuracies, confidences = calibration_curve(hits, probabilities.max(axis=1), n_bins=bins, pos_label=True)
    rows = [row for row in found["bins"] if row["clips"]]
    assert [row["accuracy"] for row in rows] == pytest.approx(accuracies.tolist())
    assert [row["confidence"] for row in rows] == pytest.approx(confidences.tolist())
    assert sum(row["clips"] for row in found["bins"]) == clips
    assert sum(row["right"] for row in found["bins"]) == hits.sum()


def test_reliability_puts_an_edge_into_the_bin_below_it() -> None:
    found = metrics.reliability([0, 0], np.array([[0.5, 0.5], [1 + 1e-7, 0]]), bins=10)
    assert [row["clips"] for row in found["bins"]] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_precision_and_f1_agree_with_scikit_learn(rng: np.random.Generator) -> None:
    targets = rng.integers(4, size=60)
    probabilities = rng.dirichlet(np.ones(4), 60)
    report = metrics.classification_report(targets, probabilities, list("abcd"))["per_class"]
    precision, _, f1, _ = reference.precision_recall_fscore_support(targets, probabilities.argmax(axis=1))
    assert [report[label]["precision"] for label in "abcd"] == pytest.approx(precision)
    assert [report[label]["f1"] for label in "abcd"] == pytest.approx(f1)
