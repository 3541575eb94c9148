"""Tests of predictions for live sound, and of their smoothing to answers."""

import math
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.audio import io as recordings
from scenelet.audio.windows import windows_of_array
from scenelet.errors import EmptyAudioError, UsageError
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.stream import PredictionSmoother, SmoothedPrediction, Stream, StreamPrediction, make_smoother

LABELS = ("a", "b", "c")


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
@pytest.mark.parametrize("block", [1, 777, 10**6])
def test_stream_agrees_with_windows_of_its_hop(rng: np.random.Generator, rate: int, block: int) -> None:
    classifier = Classifier(tiny_model(), threads=1)
    samples = 0.1 * rng.standard_normal((2, rate if block > 1 else rate // 3)).astype(np.float32)
    stream = Stream(classifier, rate, 0.05)
    predictions = []
    for start in range(0, samples.shape[1], block):
        predictions += stream.push(samples[:, start : start + block])
    predictions += stream.finish()
    window = classifier.model.window.model_copy(update={"hop_seconds": 0.05})
    cuts = windows_of_array(samples, rate, classifier.model.features, window)
    expected = [classifier.predict_window(cut) for cut in cuts]
    assert len(predictions) == len(expected)
    for prediction, window in zip(predictions, expected, strict=True):
        assert prediction.probabilities.tolist() == window.probabilities.tolist()


@pytest.mark.parametrize("hop", [0.05, 0.2])
def test_stream_in_threads_agrees_with_one_thread(rng: np.random.Generator, hop: float) -> None:
    samples = 0.1 * rng.standard_normal((2, 20_000)).astype(np.float32)
    one = Stream(Classifier(tiny_model(), threads=1), 8000, hop)
    several = Stream(Classifier(tiny_model(), callers=3), 8000, hop, threads=3)
    expected, found = ([*stream.push(samples), *stream.finish()] for stream in (one, several))
    ends = np.minimum(0.2 + hop * np.arange(len(expected)), 2.5)
    assert [prediction.seconds for prediction in found] == pytest.approx(ends)
    assert [prediction.seconds for prediction in expected] == pytest.approx(ends)
    for prediction, single in zip(found, expected, strict=True):
        assert prediction.probabilities.tolist() == single.probabilities.tolist()


def test_stream_of_real_sound_agrees_with_predict_proba(tau: Path) -> None:
    samples, rate = recordings.read(sorted((tau / "clips").glob("*.flac"))[0])
    classifier = load("esc10", threads=1)
    stream = Stream(classifier, rate)
    live = [m for cut in np.array_split(samples, 97, axis=1) for m in stream.push(cut)] + list(stream.finish())
    assert [m.seconds for m in live] == pytest.approx([5, 6, 7, 8, 9, 10])
    for prediction in live:
        until = round(prediction.seconds * rate)
        # the stream's resampler has processed earlier sound, so the numbers differ slightly
        expected = classifier.predict_proba(samples[:, until - 5 * rate : until], rate)
        np.testing.assert_allclose(prediction.probabilities, expected, atol=0.02)


@pytest.mark.parametrize("hop", [0, -1, 0.04, 0.21, float("nan")])
def test_stream_invalid_hop_raises(hop: float) -> None:
    with pytest.raises(UsageError, match="a hop of"):
        Stream(Classifier(tiny_model(), threads=1), 8000, hop)


def test_stream_finish_without_sound_raises() -> None:
    with pytest.raises(EmptyAudioError, match="no sound came"):
        list(Stream(Classifier(tiny_model(), threads=1), 8000).finish())


def update(smoother: PredictionSmoother, *rows: tuple[float, ...]) -> list[SmoothedPrediction]:
    return [smoother.update(StreamPrediction(float(i), np.array(row, np.float32))) for i, row in enumerate(rows)]


def test_smoother_holds_label_within_margin() -> None:
    steady = PredictionSmoother(LABELS, (0, 0, 0), smooth_seconds=0, margin=0.1)
    rows = [(0.5, 0.4, 0.1), (0.46, 0.54, 0), (0.4, 0.6, 0), (0.52, 0.48, 0), (0.6, 0.4, 0)]
    answers = update(steady, *rows)
    assert [d.label for d in answers] == ["a", "a", "b", "b", "a"]
    assert [d.changed for d in answers] == [True, False, True, False, True]
    assert answers[1].confidence == pytest.approx(0.46)  # of the answer
    nervous = PredictionSmoother(LABELS, (0, 0, 0), smooth_seconds=0, margin=0)
    assert [d.label for d in update(nervous, *rows)] == ["a", "b", "b", "a", "a"]


def test_smoother_is_unsure_below_threshold_with_hysteresis() -> None:
    smoother = PredictionSmoother(LABELS, (0.6, 0.6, 0.6), smooth_seconds=0, margin=0.1)
    answers = update(smoother, (0.59, 0.41, 0), (0.6, 0.4, 0), (0.51, 0.49, 0), (0.49, 0.5, 0.01), (0.55, 0.45, 0))
    assert [d.label for d in answers] == [None, "a", "a", None, None]
    assert [d.changed for d in answers] == [True, True, False, True, False]
    assert answers[0].confidence == pytest.approx(0.59)  # of the most probable one


def test_smoother_uses_the_threshold_of_the_held_label() -> None:
    smoother = PredictionSmoother(LABELS, (0.4, 0.8, math.inf), smooth_seconds=0, margin=0.1)
    rows = [(0.45, 0.3, 0.25), (0.25, 0.7, 0.05), (0.1, 0.85, 0.05), (0.2, 0.75, 0.05), (0, 0, 1.0), (0.31, 0.3, 0.39)]
    assert [answer.label for answer in update(smoother, *rows)] == ["a", None, "b", "b", None, None]


def test_smoother_needs_a_threshold_per_label() -> None:
    with pytest.raises(ValueError, match="2 thresholds for 3 labels"):
        PredictionSmoother(LABELS, (0.5, 0.5))


def test_make_smoother_takes_the_thresholds_of_the_model() -> None:
    stored = {"probabilities": {"a": 0.7, "c": None}, "false_alarms_per_hour": 1, "hours": 2}
    model = changed(tiny_model(), labels=LABELS, results={"label_thresholds": stored})
    classifier = Classifier(model, threads=1)
    assert make_smoother(classifier).thresholds == (0.7, 0.5, math.inf)
    assert make_smoother(classifier, threshold=0.2).thresholds == (0.2, 0.2, 0.2)


def test_smoother_averages_exponentially() -> None:
    smoother = PredictionSmoother(LABELS, (0, 0, 0), smooth_seconds=2.0)
    answers = update(smoother, (1, 0, 0), (0, 1, 0), (0, 1, 0))
    weight = np.exp(-0.5)
    assert [d.probabilities["a"] for d in answers] == pytest.approx([1, weight, weight**2])
    assert sum(answers[2].probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("wrong", [{"threshold": 1.1}, {"margin": -0.1}, {"smooth_seconds": float("inf")}])
def test_smoother_invalid_setting_raises(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give"):
        make_smoother(Classifier(tiny_model(), threads=1), **wrong)


def test_smoother_answers_silence_at_once_and_starts_anew() -> None:
    smoother = PredictionSmoother(LABELS, (0.5, 0.5, 0.5))
    answers = update(smoother, (0.9, 0.1, 0), (0, 0, 0), (0, 0, 0), (0, 0.9, 0.1))
    assert [answer.label for answer in answers] == ["a", "silence", "silence", "b"]
    assert [answer.changed for answer in answers] == [True, True, False, True]


def test_smoother_is_unsure_while_the_smoothed_similarity_is_below_its_minimum() -> None:
    """After a step of the similarity, the average passes the middle after ln 2 time constants."""
    smoother = PredictionSmoother(LABELS, (0.5, 0.5, 0.5), smooth_seconds=2.0, min_similarity=0.5)
    row = np.float32([0.9, 0.1, 0])
    times = [-1.0, *np.arange(0, 3, 0.25)]
    answers = [smoother.update(StreamPrediction(t, row, float(t > 0))).label for t in times]
    assert answers == [None if t < 2 * math.log(2) else LABELS[0] for t in times]
    silent = smoother.update(StreamPrediction(4.0, 0 * row, None))
    assert silent.label == "silence"
    assert smoother.update(StreamPrediction(4.25, row, 0.4)).label is None  # a new average
    after = smoother.update(StreamPrediction(20.0, row, 0.6))
    assert (after.label, list(after.probabilities)) == (LABELS[0], list(LABELS))


def test_stream_and_smoother_of_a_model_have_its_known_sounds() -> None:
    classifier = Classifier(with_known_sounds(tiny_model(), 0.25), threads=1)
    assert make_smoother(classifier).min_similarity == 0.25
    assert make_smoother(Classifier(tiny_model(), threads=1)).min_similarity == -1
    stream = Stream(classifier, 8000, 0.1)
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 1600)).astype(np.float32)
    (prediction,) = stream.push(sound)
    assert prediction.similarity == classifier.predict_window(sound).similarity
    (silent,) = Stream(classifier, 8000, 0.1).push(0 * sound)
    assert silent.similarity is None
