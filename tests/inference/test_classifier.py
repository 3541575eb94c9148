"""From a `.scn` file and a recording to probabilities, and what it may import."""

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

import scenelet
from helpers.tiny_model import changed, tiny_model
from scenelet.audio import windows as audio
from scenelet.audio.log_mel import LogMel
from scenelet.config import WindowConfig
from scenelet.errors import AudioError, MissingExtraError, ModelFileError, UsageError
from scenelet.inference.classifier import Classifier, load, mean_probabilities, model_path
from scenelet.model import file as modelfile

RATE = 8000


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(tiny_model(), threads=1)


def noise(channels: int, n: int, seed: int = 0) -> np.ndarray:
    """Noise that grows louder, so that windows differ."""
    samples = np.random.default_rng(seed).normal(0, 0.1, (channels, n)) * np.linspace(0.01, 1, n)
    return samples.astype(np.float32)


def test_a_file_gives_the_mean_over_its_windows(classifier: Classifier, write_wav: Callable[..., Path]) -> None:
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
def test_an_array_gives_the_numbers_of_its_file(
    classifier: Classifier, write_wav: Callable[..., Path], rate: int, channels: int
) -> None:
    samples = noise(channels, rate + 321)
    shares = classifier.predict_proba(samples, rate)
    assert shares.shape == (3,)
    assert shares.dtype == np.float32
    assert float(shares.astype(np.float64).sum()) == pytest.approx(1, abs=1e-6)
    file = classifier.predict(write_wav(samples, rate))
    np.testing.assert_array_equal(shares, np.float32(list(file.probabilities.values())))


def test_one_dimension_is_mono(classifier: Classifier) -> None:
    samples = noise(1, 3000)
    expected = classifier.predict_proba(samples, RATE)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0], RATE), expected)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0].astype(np.float64), RATE), expected)
    np.testing.assert_array_equal(classifier.predict_proba(samples[0].tolist(), RATE), expected)


def test_a_window_does_not_depend_on_the_others_or_on_threads(classifier: Classifier) -> None:
    log_mel = np.random.default_rng(0).normal(-40, 15, (11, *classifier.model.input_shape)).astype(np.float32)
    together = classifier.probabilities(log_mel)
    alone = np.concatenate([classifier.probabilities(window[None]) for window in log_mel])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(Classifier(classifier.model, threads=2).probabilities(log_mel), together, atol=1e-6)
    np.testing.assert_array_equal(classifier.probabilities(log_mel.astype(np.float64)), together)
    assert classifier.probabilities(log_mel[:0]).shape == (0, 3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_recordings_give_what_each_gives(classifier: Classifier, tmp_path: Path, threads: int) -> None:
    paths = []
    for index, n in enumerate([1600, 300, 9000, 1600, 5000, 1600, 2000]):
        paths.append(tmp_path / f"{index}.wav")
        soundfile.write(paths[-1], noise(2, n, seed=index).T, RATE, subtype="FLOAT")
    paths.insert(3, tmp_path / "missing.wav")
    several = Classifier(classifier.model, threads=threads)
    found = list(several.predict_many(paths))
    assert len(found) == len(paths)
    for path, prediction in zip(paths, found, strict=True):
        if isinstance(prediction, AudioError):
            assert path.name == "missing.wav"
            assert "missing.wav" in str(prediction)
            continue
        np.testing.assert_allclose(prediction.windows, classifier.predict(path).windows, atol=1e-6)
        np.testing.assert_allclose(prediction.windows, several.predict(path).windows, atol=1e-6)
    assert sum(isinstance(prediction, AudioError) for prediction in found) == 1


def test_openvino_gives_the_probabilities_in_its_precision(openvino: ModuleType, classifier: Classifier) -> None:
    other = Classifier(classifier.model, threads=2, runtime="openvino")
    samples = noise(2, 5000)
    for found in (other.predict_proba(samples, RATE), other.predict_proba(samples[:, :1600], RATE)):
        assert float(found.sum()) == pytest.approx(1, abs=1e-3)
    # bf16 has eight bits, and the tiny network's weights are random
    expected = classifier.predict_proba(samples, RATE)
    np.testing.assert_allclose(other.predict_proba(samples, RATE), expected, atol=0.03)


def test_openvinos_first_inference_is_not_two_threads_at_once(
    openvino: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, threads = openvino.InferRequest.infer, []

    def recorded(*arguments: object, **settings: object) -> object:
        threads.append(threading.get_ident())
        return infer(*arguments, **settings)

    monkeypatch.setattr(openvino.InferRequest, "infer", recorded)
    Classifier(tiny_model(), threads=2, runtime="openvino")
    assert threads == [threading.get_ident()]


def test_a_runtime_that_is_not_there(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        Classifier(classifier.model, runtime="openvinno")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install .scenelet\[openvino\]"):
        Classifier(classifier.model, runtime="openvino")


def test_overlapping_windows(classifier: Classifier) -> None:
    window = WindowConfig(seconds=0.2, hop_seconds=0.05)
    overlapping = Classifier(changed(classifier.model, window=window))
    samples = noise(2, 4000)
    cuts = list(audio.windows_of_array(samples, RATE, RATE, "stereo", window))
    log_mel = np.stack([LogMel(classifier.model.features)(cut) for cut in cuts])
    assert len(cuts) == window.count(4000, RATE) == 7
    expected = mean_probabilities(overlapping.probabilities(log_mel))
    np.testing.assert_array_equal(overlapping.predict_proba(samples, RATE), expected)


def test_the_mean_sums_to_one_even_when_rows_do_not_quite() -> None:
    mean = mean_probabilities(np.float32([[0.5, 0.51], [0.25, 0.76]]))
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, [0.375 / 1.01, 0.635 / 1.01], rtol=1e-6)


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
def test_samples_that_are_none(classifier: Classifier, samples: np.ndarray, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        classifier.predict_proba(samples, RATE)
    assert message in str(caught.value)


@pytest.mark.parametrize("rate", [0, -8000, 44.1, 8000.5, float("nan"), float("inf")])
def test_sample_rates_that_are_none(classifier: Classifier, rate: float) -> None:
    with pytest.raises(UsageError, match="Hz"):
        classifier.predict_proba(noise(1, 100), rate)  # type: ignore[arg-type]


def test_other_arguments_that_do_not_fit(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"takes \(n, "):
        classifier.probabilities(np.zeros((2, 16, 13), np.float32))
    with pytest.raises(UsageError, match="threads"):
        Classifier(classifier.model, threads=0)
    with pytest.raises(AudioError, match="no such file"):
        classifier.predict(tmp_path / "none.wav")


def test_probabilities_that_are_not_numbers_are_an_error() -> None:
    model = tiny_model()
    arrays = {name: array * np.float32(1e30) for name, array in model.arrays.items()}
    with pytest.raises(ModelFileError, match="not finite"):
        Classifier(changed(model, arrays=arrays)).predict_proba(noise(1, 3000), RATE)


def test_copies_answer_the_same(classifier: Classifier) -> None:
    samples = noise(2, 5000)
    for threads in (None, 3):
        original = Classifier(classifier.model, threads)
        for again in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            assert (again.threads, again.runtime) == (original.threads, original.runtime)
            np.testing.assert_array_equal(
                again.predict_proba(samples, RATE), original.predict_proba(samples, RATE), strict=True
            )


def test_a_copy_has_a_thread_a_core_of_its_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(Classifier(tiny_model()))
    monkeypatch.setattr("scenelet.inference.classifier.cpu_count", lambda: 3)
    assert pickle.loads(pickled).threads == 3


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.scn"
    modelfile.write_model(tiny_model(), path)
    assert scenelet.load(path).labels == tiny_model().labels
    assert load(str(path), threads=1).model.provenance["recipe"] == "low_complexity"
    monkeypatch.chdir(tmp_path)
    path.rename("indoor")
    assert load("indoor").labels == tiny_model().labels  # an existing path wins over any name
    with pytest.raises(ModelFileError, match="no model is built in"):
        load("outdoor")
    for missing in ("outdoor.scn", "./outdoor", tmp_path / "outdoor"):
        assert model_path(missing) == Path(missing)
        with pytest.raises(ModelFileError, match="no such file"):
            load(missing)
