"""Tests of classifying recordings and arrays with a `.scn` model."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import scenelet
from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows_of_array
from scenelet.config import WindowConfig
from scenelet.errors import AudioError, ModelFileError, UsageError
from scenelet.inference.classifier import Classifier, load
from scenelet.inference.prediction import WindowPrediction, mean_probabilities
from scenelet.model.file import write_model
from scenelet.model.known_sounds import similarities
from scenelet.model.pretrained import model_path

RATE = 8000


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(tiny_model(), threads=1)


def noise(channels: int, n: int, seed: int = 0) -> np.ndarray:
    """Noise that grows louder, so that windows differ."""
    samples = np.random.default_rng(seed).normal(0, 0.1, (channels, n)) * np.linspace(0.01, 1, n)
    return samples.astype(np.float32)


def test_predict_averages_windows(classifier: Classifier, write_wav: Callable[..., Path]) -> None:
    samples = noise(2, 5 * 1600 + 700)
    prediction = classifier.predict(write_wav(samples, RATE))
    assert prediction.windows.shape == (6, 3)
    assert prediction.windows.std(axis=0).max() > 1e-3
    log_mel = LogMel(classifier.model.features)
    cuts = np.pad(samples, ((0, 0), (0, 900))).reshape(2, 6, 1600).transpose(1, 0, 2)
    expected = classifier.probabilities(np.stack([log_mel(cut) for cut in cuts]))
    np.testing.assert_array_equal(prediction.windows, expected)
    assert list(prediction.probabilities) == list(classifier.labels)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected.mean(axis=0), rtol=1e-6)
    assert prediction.label == classifier.labels[int(expected.mean(axis=0).argmax())]


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_predict_proba_agrees_with_predict(
    classifier: Classifier, write_wav: Callable[..., Path], rate: int, channels: int
) -> None:
    samples = noise(channels, rate + 321)
    found = classifier.predict_proba(samples, rate)
    assert found.shape == (3,)
    assert found.dtype == np.float32
    assert float(found.astype(np.float64).sum()) == pytest.approx(1, abs=1e-6)
    file = classifier.predict(write_wav(samples, rate))
    np.testing.assert_array_equal(found, np.float32(list(file.probabilities.values())))


def test_predict_proba_takes_mono_of_any_float_type(classifier: Classifier) -> None:
    samples = noise(1, 3000)
    expected = classifier.predict_proba(samples, RATE)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0], RATE), expected)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0].astype(np.float64), RATE), expected)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0].tolist(), RATE), expected)


def test_probabilities_of_window_are_independent(classifier: Classifier) -> None:
    log_mel = np.random.default_rng(0).normal(-40, 15, (11, *classifier.model.input_shape)).astype(np.float32)
    expected = classifier.probabilities(log_mel)
    single = np.concatenate([classifier.probabilities(window[None]) for window in log_mel])
    np.testing.assert_array_equal(expected, single)
    np.testing.assert_allclose(Classifier(classifier.model, threads=2).probabilities(log_mel), expected, atol=1e-6)
    np.testing.assert_array_equal(classifier.probabilities(log_mel.astype(np.float64)), expected)
    assert classifier.probabilities(log_mel[:0]).shape == (0, 3)


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """Return seven recordings of different lengths, and a missing one in fourth position."""
    paths = []
    for index, n in enumerate([1600, 300, 9000, 1600, 5000, 1600, 2000]):
        paths.append(tmp_path / f"{index}.wav")
        soundfile.write(paths[-1], noise(2, n, seed=index).T, RATE, subtype="FLOAT")
    paths.insert(3, tmp_path / "missing.wav")
    return paths


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("callers", [1, 2])
def test_predict_many_agrees_with_predict(
    classifier: Classifier, recordings: list[Path], threads: int, callers: int
) -> None:
    several = Classifier(classifier.model, threads=threads, callers=callers)
    found = list(several.predict_many(recordings, errors="return"))
    assert len(found) == len(recordings)
    for path, prediction in zip(recordings, found, strict=True):
        if isinstance(prediction, AudioError):
            assert str(prediction) == f"{path}: no such file"
            continue
        np.testing.assert_allclose(prediction.windows, classifier.predict(path).windows, atol=1e-6)
        np.testing.assert_allclose(prediction.windows, several.predict(path).windows, atol=1e-6)
    assert [isinstance(prediction, AudioError) for prediction in found] == [i == 3 for i in range(8)]


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_many_raises_summary_after_all(classifier: Classifier, recordings: list[Path], threads: int) -> None:
    recordings.append(recordings[0].with_name("gone.wav"))
    found = []
    with pytest.raises(AudioError, match=r"^2 of 9 recordings cannot be read.*missing\.wav.*gone\.wav"):
        found.extend(Classifier(classifier.model, threads=threads).predict_many(recordings))
    assert len(found) == 3  # no prediction follows the first error, so they match the recordings


def test_predict_many_of_one_recording_uses_all_threads(classifier: Classifier, recordings: list[Path]) -> None:
    (found,) = Classifier(classifier.model, threads=2).predict_many(iter([str(recordings[2])]))
    np.testing.assert_allclose(found.windows, classifier.predict(recordings[2]).windows, atol=1e-6)


def test_predict_many_of_nothing_is_empty(classifier: Classifier) -> None:
    assert list(classifier.predict_many([])) == []


def test_predict_many_unknown_errors_value_raises(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match="errors is 'ignore'; give 'raise' or 'return'"):
        classifier.predict_many([], errors="ignore")  # type: ignore[call-overload]


def test_predict_open_file_agrees_with_path(classifier: Classifier, recordings: list[Path]) -> None:
    expected = classifier.predict(recordings[2]).windows
    with recordings[2].open("rb") as file:
        np.testing.assert_array_equal(classifier.predict(file).windows, expected)
    in_memory = io.BytesIO(recordings[2].read_bytes())
    np.testing.assert_array_equal(classifier.predict(in_memory).windows, expected)
    np.testing.assert_array_equal(classifier.predict(str(recordings[2])).windows, expected)


@pytest.mark.parametrize(("threads", "callers", "expected"), [(3, 1, 3), (3, 2, 1), (1, 4, 1)])
def test_classifier_with_callers_has_one_thread_per_call(threads: int, callers: int, expected: int) -> None:
    assert Classifier(tiny_model(), threads, callers=callers).threads == expected


@pytest.mark.parametrize(("below", "unsure"), [(0.0, False), (1.0, True)])
def test_combine_windows_is_unsure_below_threshold(below: float, unsure: bool) -> None:
    classifier = Classifier(changed(tiny_model(), results={"threshold": {"probability": below}}), threads=1)
    rows = np.float32([[0.5, 0.25, 0.25], [0.6, 0.2, 0.2]])
    assert classifier.combine_windows([WindowPrediction(row) for row in rows]).unsure == unsure


@pytest.mark.parametrize(
    ("stored", "below"),
    [
        ({}, 0.5),
        ({"threshold": {"probability": 0.7}}, 0.7),
        ({"threshold": {"probability": "x"}}, 0.5),
        ({"threshold": {"probability": 2}}, 0.5),
    ],
)
def test_threshold_is_read_from_the_model(stored: dict[str, object], below: float) -> None:
    assert Classifier(changed(tiny_model(), results=stored), threads=1).thresholds == (below, below, below)


def test_combine_windows_uses_the_threshold_of_the_answer() -> None:
    stored = {"probabilities": {"indoor": 0.9, "transportation": None}, "false_alarms_per_hour": 1, "hours": 2}
    classifier = Classifier(changed(tiny_model(), results={"label_thresholds": stored}), threads=1)
    rows = np.float32([[0.8, 0.2, 0], [0.4, 0.6, 0], [0, 0, 1]])
    assert [classifier.combine_windows([WindowPrediction(row)]).unsure for row in rows] == [True, False, True]


def test_recording_is_unsure_below_the_minimum_similarity() -> None:
    model = with_known_sounds(changed(tiny_model(), results={"threshold": {"probability": 0}}), min_similarity=0.75)
    classifier, row, silent = Classifier(model, threads=1), np.float32([0.5, 0.5, 0]), np.zeros(3, np.float32)
    for given, unsure in (((0.5, 1.0), False), ((0.5, 0.9), True), ((0.75, None), False), ((0.7, None), True)):
        windows = [WindowPrediction(silent if value is None else row, value) for value in given]
        prediction = classifier.combine_windows(windows)
        assert (prediction.unsure, prediction.label) == (unsure, "indoor"), given
        assert prediction.similarity == np.mean([value for value in given if value is not None])
    assert classifier.combine_windows([WindowPrediction(silent)]).similarity is None
    assert Classifier(tiny_model(), threads=1).min_similarity == -1


@pytest.mark.parametrize("threads", [1, 2])
def test_predict_gives_the_mean_similarity_and_the_same_probabilities(threads: int) -> None:
    model, samples = with_known_sounds(tiny_model()), noise(2, 5 * 1600)
    data = io.BytesIO()
    soundfile.write(data, samples.T, RATE, subtype="FLOAT", format="WAV")
    plain = Classifier(tiny_model(), threads).predict(data)
    classifier = Classifier(model, threads)
    prediction = classifier.predict(data)
    np.testing.assert_allclose(prediction.windows, plain.windows, atol=1e-6)
    assert plain.similarity is None
    expected = similarities(classifier.embeddings(data), model.known.means)
    assert prediction.similarity == pytest.approx(expected.mean(), abs=1e-5)
    assert expected.std() > 1e-4


def test_predict_proba_averages_overlapping_windows(classifier: Classifier) -> None:
    window = WindowConfig(seconds=0.2, hop_seconds=0.05)
    overlapping = Classifier(changed(classifier.model, window=window))
    samples = noise(2, 4000)
    cuts = list(windows_of_array(samples, RATE, classifier.model.features, window))
    log_mel = np.stack([LogMel(classifier.model.features)(cut) for cut in cuts])
    assert len(cuts) == window.count(4000, RATE) == 7
    expected = mean_probabilities(overlapping.probabilities(log_mel))
    np.testing.assert_array_equal(overlapping.predict_proba(samples, RATE), expected)


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (np.zeros((3, 100), np.float32), UsageError, "one or two channels"),
        (np.zeros((100, 2), np.float32), UsageError, "one or two channels"),
        (np.zeros((1, 2, 100), np.float32), UsageError, "(1, 2, 100)"),
        (np.float32(0.5), UsageError, "()"),
        (np.zeros((1, 100), np.int16), UsageError, "int16"),
        (np.zeros((1, 100), complex), UsageError, "complex"),
        (np.zeros((2, 0), np.float32), AudioError, "empty"),
        (np.zeros(0, np.float32), AudioError, "empty"),
        (np.float32([0.0, np.nan]), AudioError, "not finite"),
        (np.float32([0.0, -np.inf]), AudioError, "not finite"),
        (np.float64([0.0, 1e300]), AudioError, "not finite"),
    ],
)
def test_predict_proba_invalid_samples_raises(
    classifier: Classifier, samples: np.ndarray, error: type, message: str
) -> None:
    with pytest.raises(error) as caught:
        classifier.predict_proba(samples, RATE)
    assert message in str(caught.value)


@pytest.mark.parametrize("rate", [0, -8000, 44.1, 384, 499, 768001, 8000.5, float("nan"), float("inf")])
def test_predict_proba_invalid_sample_rate_raises(classifier: Classifier, rate: float) -> None:
    with pytest.raises(UsageError, match="Hz"):
        classifier.predict_proba(noise(1, 100), rate)  # type: ignore[arg-type]


def test_probabilities_wrong_shape_raises(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match=r"takes \(n, "):
        classifier.probabilities(np.zeros((2, 16, 13), np.float32))


@pytest.mark.parametrize("setting", ["threads", "callers"])
def test_classifier_zero_threads_or_callers_raises(classifier: Classifier, setting: str) -> None:
    with pytest.raises(UsageError, match=f"{setting} is 0"):
        Classifier(classifier.model, **{setting: 0})  # type: ignore[arg-type]


def test_predict_missing_file_raises(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        classifier.predict(tmp_path / "none.wav")


def test_predict_proba_infinite_probabilities_raises() -> None:
    model = tiny_model()
    arrays = {name: array * np.float32(1e30) for name, array in model.arrays.items()}
    with pytest.raises(ModelFileError, match="not finite"):
        Classifier(changed(model, arrays=arrays)).predict_proba(noise(1, 3000), RATE)


def test_pickle_and_copy_keep_probabilities(classifier: Classifier) -> None:
    samples = noise(2, 5000)
    for threads, callers in ((None, 1), (3, 1), (1, 2)):
        original = Classifier(classifier.model, threads, callers=callers)
        for again in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            assert (again.threads, again.callers) == (original.threads, original.callers)
            assert again.runtime == original.runtime
            np.testing.assert_array_equal(
                again.predict_proba(samples, RATE), original.predict_proba(samples, RATE), strict=True
            )


def test_pickle_counts_cores_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(Classifier(tiny_model()))
    monkeypatch.setattr("scenelet.inference.classifier.cpu_count", lambda: 3)
    assert pickle.loads(pickled).threads == 3


def test_load_takes_str_and_path(tmp_path: Path) -> None:
    path = tmp_path / "model.scn"
    write_model(tiny_model(), path)
    assert scenelet.load(path).labels == tiny_model().labels
    assert load(str(path), threads=1).model.provenance["recipe"] == "low_complexity"
    assert load(path, callers=2).callers == 2


def test_load_prefers_existing_file_to_built_in_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tiny_model(), tmp_path / "m.scn")
    (tmp_path / "m.scn").rename("esc10")
    assert load("esc10").labels == tiny_model().labels


def test_load_unknown_name_raises() -> None:
    with pytest.raises(ModelFileError, match="no built-in model has this name"):
        load("outdoor")


@pytest.mark.parametrize("missing", ["outdoor.scn", "./outdoor", Path("folder/outdoor")])
def test_load_missing_path_raises(missing: str | Path) -> None:
    assert model_path(missing) == Path(missing)
    with pytest.raises(ModelFileError, match="no such file"):
        load(missing)


@pytest.mark.parametrize(
    ("samples", "answer"),
    [
        (np.zeros((1, RATE)), "silence"),
        (np.full((1, RATE), 0.3), "silence"),
        (noise(1, RATE // 50), "too short"),
        (np.zeros((1, 1)), "too short"),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 11025])
def test_sound_without_a_class_is_named(
    classifier: Classifier, write_wav: Callable[..., Path], samples: np.ndarray, answer: str, rate: int
) -> None:
    path = write_wav(samples.astype(np.float32), rate)
    for prediction in (classifier.predict(path), *classifier.predict_many([path, path])):
        assert (prediction.label, prediction.unsure) == (answer, True)
        assert list(prediction.probabilities.values()) == pytest.approx([1 / 3] * 3)
    np.testing.assert_allclose(classifier.predict_proba(samples.astype(np.float32), rate), 1 / 3, rtol=1e-6)


def test_antiphase_is_silence_for_a_mono_model(write_wav: Callable[..., Path]) -> None:
    sound = noise(1, RATE)
    path = write_wav(np.concatenate([sound, -sound]), 44100)
    assert load("esc10").predict(path).label == "silence"


def test_silent_windows_do_not_count(classifier: Classifier, write_wav: Callable[..., Path]) -> None:
    sound = noise(2, 3200)
    gaps = np.concatenate([sound, np.zeros((2, 4800), np.float32)], axis=1)
    alone, with_gaps = classifier.predict(write_wav(sound, RATE)), classifier.predict(write_wav(gaps, RATE, "gaps.wav"))
    assert with_gaps.windows.shape == (5, 3)
    assert with_gaps.probabilities == alone.probabilities
    assert not with_gaps.windows[2:].any()


@pytest.mark.parametrize("recording", [noise(1, RATE), [0.5, 0.1], None, b"RIFF", 3])
def test_predict_of_samples_names_predict_proba(classifier: Classifier, recording: object) -> None:
    with pytest.raises(UsageError, match="give a path or an open binary file, and samples to predict_proba"):
        classifier.predict(recording)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="give a path"):
        list(classifier.predict_many([recording, recording]))  # type: ignore[list-item]


def test_predict_of_a_url_says_so(classifier: Classifier) -> None:
    with pytest.raises(UsageError, match=r"https://example.org/a.wav: is a URL; download it first"):
        classifier.predict("https://example.org/a.wav")


@pytest.mark.parametrize("rate", [None, "44100", 44.1, True, float("nan"), 10**9])
def test_predict_proba_refuses_other_rates(classifier: Classifier, rate: object) -> None:
    with pytest.raises(UsageError, match=r"sample_rate is .*; give an integer from 500 to 768000 Hz"):
        classifier.predict_proba(noise(1, RATE), rate)  # type: ignore[arg-type]
