"""Precision and recall over thresholds, and the clips of background."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.metrics import precision_score, recall_score

from helpers.example_report import make_prediction, make_predictions
from scenelet.evaluation.detection import background_metrics, background_text, detection_curve

LABELS = ("dog", "none", "rain")


@pytest.mark.parametrize("background", ["none", None])
def test_detection_curve_agrees_with_scikit_learn(background: str | None) -> None:
    """An answer that is not sure, or is background, is the class "nothing", which does not count."""
    clips = make_predictions(LABELS, count=90, seed=2)
    curve = detection_curve(clips, background)
    classes = [label for label in LABELS if label != background]
    for step in (0, 37, 50, 80):
        threshold = step / 100
        truth = [clip.label for clip in clips]
        answers = [clip.predicted if max(clip.probabilities) >= threshold else "nothing" for clip in clips]
        options = {"labels": classes, "average": "micro", "zero_division": 0}
        assert curve["threshold"][step] == threshold
        assert curve["precision"][step] == pytest.approx(precision_score(truth, answers, **options))
        assert curve["recall"][step] == pytest.approx(recall_score(truth, answers, **options))


def test_detection_curve_without_answers_or_clips() -> None:
    clips = [make_prediction("1", "none", LABELS, (0.2, 0.6, 0.2), "1")]
    curve = detection_curve(clips, "none")
    assert set(curve["precision"]) == set(curve["recall"]) == {None}


def test_background_metrics_count_clips_and_hours(tmp_path: Path) -> None:
    path = tmp_path / "1.wav"
    soundfile.write(path, np.full(8000 * 9, 0.1), 8000)
    rows = [("none", (0.1, 0.8, 0.1)), ("none", (0.7, 0.2, 0.1)), ("none", (0.4, 0.2, 0.4)), ("dog", (0.9, 0.1, 0.0))]
    clips = [
        replace(make_prediction(str(i), label, LABELS, probabilities, str(i)), path=path)
        for i, (label, probabilities) in enumerate(rows)
    ]
    found = background_metrics(clips, [True, True, False, True], "none")
    own = found["background"]
    assert (own["clips"], own["alarms"], own["sure_alarms"]) == (3, 2, 1)
    assert own["hours"] == pytest.approx(27 / 3600)
    assert own["sure_alarms_per_hour"]["value"] == pytest.approx(3600 / 27)
    assert (own["other_clips"], own["other_accuracy"]) == (1, 1.0)
    assert "none: 3 clips, of which 2 were taken for a class, 1 of them surely" in background_text(found)
    assert background_metrics(clips, [True, False, False, True], "none")["background"]["sure_alarms"] == 0
    assert background_metrics(clips[3:], [True], "none") == {}
    assert background_metrics(clips, [True] * 4, None) == {}
    assert background_text({}) == ""
