"""Live sound gives the numbers of a file, and decisions that are smooth, steady and sometimes unsure."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_model import tiny_model
from scenelet.audio import io as recordings
from scenelet.audio.windows import windows_of_array
from scenelet.errors import EmptyAudioError, UsageError
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.stream import PredictionSmoother, SmoothedPrediction, Stream, StreamPrediction

LABELS = ("a", "b", "c")


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("block", [1, 777, 10**6])
def test_a_stream_is_a_file_with_this_hop(rng: np.random.Generator, rate: int, block: int) -> None:
    classifier = Classifier(tiny_model(), threads=1)
    samples = 0.1 * rng.standard_normal((2, rate if block > 1 else rate // 3)).astype(np.float32)
    stream = Stream(classifier, rate, 0.05)
    moments = []
    for start in range(0, samples.shape[1], block):
        moments += stream.push(samples[:, start : start + block])
    moments += stream.finish()
    window = classifier.model.window.model_copy(update={"hop_seconds": 0.05})
    expected = [classifier.predict_window(cut) for cut in windows_of_array(samples, rate, 8000, "stereo", window)]
    assert len(moments) == len(expected)
    for moment, probabilities in zip(moments, expected, strict=True):
        assert moment.probabilities.tolist() == probabilities.tolist()


def test_real_sound_live_and_offline(tau: Path) -> None:
    samples, rate = recordings.read(sorted((tau / "clips").glob("*.flac"))[0])
    classifier = load("esc10", threads=1)
    stream = Stream(classifier, rate)
    live = [m for cut in np.array_split(samples, 97, axis=1) for m in stream.push(cut)] + list(stream.finish())
    assert [m.seconds for m in live] == pytest.approx([5, 6, 7, 8, 9, 10])
    for moment in live:
        until = round(moment.seconds * rate)
        # the resampler has heard what came before, so the window is cut from a file that begins there
        alone = classifier.predict_proba(samples[:, until - 5 * rate : until], rate)
        np.testing.assert_allclose(moment.probabilities, alone, atol=0.02)


def test_hops_that_are_none() -> None:
    for hop in (0, -1, 0.04, 0.21, float("nan")):
        with pytest.raises(UsageError, match="a hop of"):
            Stream(Classifier(tiny_model(), threads=1), 8000, hop)
    with pytest.raises(EmptyAudioError, match="no sound came"):
        list(Stream(Classifier(tiny_model(), threads=1), 8000).finish())


def decide(decider: PredictionSmoother, *rows: tuple[float, ...]) -> list[SmoothedPrediction]:
    return [decider.update(StreamPrediction(float(i), np.array(row, np.float32))) for i, row in enumerate(rows)]


def test_a_label_is_held_until_another_is_clearly_more_probable() -> None:
    steady = PredictionSmoother(LABELS, 0.0, smooth_seconds=0, margin=0.1)
    rows = [(0.5, 0.4, 0.1), (0.46, 0.54, 0), (0.4, 0.6, 0), (0.52, 0.48, 0), (0.6, 0.4, 0)]
    decisions = decide(steady, *rows)
    assert [d.label for d in decisions] == ["a", "a", "b", "b", "a"]
    assert [d.changed for d in decisions] == [True, False, True, False, True]
    assert decisions[1].confidence == pytest.approx(0.46)  # of what is told
    nervous = PredictionSmoother(LABELS, 0.0, smooth_seconds=0, margin=0)
    assert [d.label for d in decide(nervous, *rows)] == ["a", "b", "b", "a", "a"]


def test_unsure_below_the_threshold_with_hysteresis() -> None:
    decider = PredictionSmoother(LABELS, 0.6, smooth_seconds=0, margin=0.1)
    decisions = decide(decider, (0.59, 0.41, 0), (0.6, 0.4, 0), (0.51, 0.49, 0), (0.49, 0.5, 0.01), (0.55, 0.45, 0))
    assert [d.label for d in decisions] == [None, "a", "a", None, None]
    assert [d.changed for d in decisions] == [True, True, False, True, False]
    assert decisions[0].confidence == pytest.approx(0.59)  # of the most probable one


def test_smoothing_is_an_exponential_average() -> None:
    decider = PredictionSmoother(LABELS, 0.0, smooth_seconds=2.0)
    decisions = decide(decider, (1, 0, 0), (0, 1, 0), (0, 1, 0))
    kept = np.exp(-0.5)
    assert [d.probabilities["a"] for d in decisions] == pytest.approx([1, kept, kept**2])
    assert sum(decisions[2].probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("wrong", [{"threshold": 1.1}, {"margin": -0.1}, {"smooth_seconds": float("inf")}])
def test_settings_that_are_none(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        PredictionSmoother(LABELS, **{"threshold": 0.5, **wrong})


@pytest.mark.parametrize(
    ("stored", "below"),
    [
        ({}, 0.5),
        ({"threshold": {"below": 0.7}}, 0.7),
        ({"threshold": {"below": "x"}}, 0.5),
        ({"threshold": {"below": 2}}, 0.5),
    ],
)
def test_the_threshold_comes_with_the_model(stored: dict[str, object], below: float) -> None:
    model = dataclasses.replace(tiny_model(), results=stored)
    assert Classifier(model, threads=1).threshold == below
