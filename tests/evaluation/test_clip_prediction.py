"""A clip's prediction: its predicted class, and what is stored as JSON."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from scenelet.data.clips import Clip
from scenelet.evaluation.clip_prediction import ClipPrediction

CLIP = Clip(Path("data/a.wav"), "a.wav", "sea", "coast", fold="2", city="oslo", device="s1")
LABELS = ("rain", "sea", "wind")


@pytest.mark.parametrize(
    ("probabilities", "predicted"),
    [((0.2, 0.5, 0.3), "sea"), ((0.4, 0.2, 0.4), "rain")],
    ids=["highest", "first of equal ones"],
)
def test_from_clip_predicts_the_most_probable_class(probabilities: tuple[float, ...], predicted: str) -> None:
    prediction = ClipPrediction.from_clip(CLIP, LABELS, probabilities)
    assert prediction.predicted == predicted
    assert prediction.is_correct == (predicted == "sea")


def test_json_round_trip_leaves_out_path_and_windows() -> None:
    class Stored(BaseModel):
        clips: tuple[ClipPrediction, ...]

    prediction = ClipPrediction.from_clip(CLIP, LABELS, (0.2, 0.5, 0.3), [(0.1, 0.6, 0.3)])
    text = Stored(clips=(prediction,)).model_dump_json()
    (loaded,) = Stored.model_validate_json(text).clips
    assert (loaded.path, loaded.windows) == (None, ())
    assert loaded == ClipPrediction("a.wav", "sea", "sea", (0.2, 0.5, 0.3), "coast", "oslo", "2", "s1")
