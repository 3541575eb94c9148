"""Classification of recordings and arrays with a `.scn` model, without PyTorch."""

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenelet.audio.io import AudioSource, Samples
from scenelet.audio.log_mel import Features
from scenelet.audio.samples import check_samples
from scenelet.audio.segment import Segment
from scenelet.audio.windows import NoSound, Windows, windows, windows_of_array
from scenelet.errors import AudioError, UsageError
from scenelet.inference.pipeline import EmbeddingPipeline, make_embedding_pipeline, make_pipeline
from scenelet.inference.prediction import (
    Prediction,
    Probabilities,
    WindowPrediction,
    mean_probabilities,
    mean_similarity,
    raise_at_end,
    return_error,
)
from scenelet.inference.runtimes import RuntimeName
from scenelet.inference.threshold import label_thresholds
from scenelet.model.file import read_model
from scenelet.model.pretrained import model_path
from scenelet.model.scene_model import SceneModel
from scenelet.utils.parallel import cpu_count, map_threads

OnError = Literal["raise", "return"]


class Classifier:
    """Loaded model, which classifies recordings and samples.

    All threads work together on a single window. Several windows, or several recordings, are distributed over the
    threads, which takes less time in total. The probabilities are the same. A forked process can use a classifier that
    its parent has loaded.

    Args:
        model: the content of a `.scn` file.
        threads: number of threads. None starts one per core.
        runtime: the library that runs the network, see `scenelet.inference.runtimes.open_network`.
        callers: number of threads of the calling program that use this classifier at the same time. If there are
            several, each call works in the calling thread only, whatever `threads` is.

    Raises:
        ModelFileError: the model's nodes, arrays and features do not fit together.
        UsageError: `threads` or `callers` is below 1, or the runtime is unknown or not installed.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> Classifier(read_model(built_in("esc10")), threads=1).labels[:3]
    ('chainsaw', 'clock_tick', 'crackling_fire')
    """

    def __init__(
        self, model: SceneModel, threads: int | None = None, runtime: RuntimeName = "onnxruntime", callers: int = 1
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; give 1 or more, or None for one per core")
        if callers < 1:
            raise UsageError(f"callers is {callers}; give 1 or more")
        self.model, self.runtime, self.callers = model, runtime, callers
        self.threads = 1 if callers > 1 else threads or cpu_count()
        self._shared = make_pipeline(model, runtime, self.threads, callers)
        self._single = self._shared  # for a thread that works next to others
        if self.threads > 1:
            self._single = make_pipeline(model, runtime, threads=1, callers=self.threads, at_once=False)
        self._thresholds = label_thresholds(model)
        self._arguments = model, threads, runtime, callers

    def __reduce__(self) -> tuple[type["Classifier"], tuple[SceneModel, int | None, RuntimeName, int]]:
        """Pickle and copy by the arguments, since a runtime's session can be neither pickled nor copied."""
        return type(self), self._arguments

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes in the order of every probability vector."""
        return self.model.labels

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Minimum probability of a sure answer for each label, see `scenelet.inference.threshold.label_thresholds`."""
        return self._thresholds

    @property
    def min_similarity(self) -> float:
        """Minimum similarity of a sure answer, see `scenelet.model.known_sounds.KnownSounds`.

        It is -1, which is below every similarity, if the model has no known sounds.
        """
        return -1.0 if self.model.known is None else self.model.known.min_similarity

    def predict(self, recording: AudioSource) -> Prediction:
        """Classify a recording in constant memory: cut it into windows and average their probabilities.

        A recording without a class has the label "silence" or "too short", see `Prediction`.

        Args:
            recording: a path, an open binary file, or a `scenelet.audio.segment.Segment`, which is a part of a
                recording. For samples in memory use `predict_proba`.

        Raises:
            AudioError: the recording cannot be read, see `scenelet.audio.io.blocks`.
            UsageError: neither a path nor an open binary file.

        >>> from scenelet.model.pretrained import example
        >>> prediction = load("esc10").predict(example("esc10"))
        >>> prediction.label, round(prediction.probabilities["dog"], 4)
        ('dog', 0.9999)
        """
        cuts = windows(_check_recording(recording), self.model.features, self.model.window, self.threads)
        return self.combine_windows(self._run(cuts), cuts.no_sound)

    @overload
    def predict_many(
        self, recordings: Iterable[AudioSource], errors: Literal["raise"] = "raise"
    ) -> Iterator[Prediction]: ...

    @overload
    def predict_many(
        self, recordings: Iterable[AudioSource], errors: Literal["return"]
    ) -> Iterator[Prediction | AudioError]: ...

    def predict_many(
        self, recordings: Iterable[AudioSource], errors: OnError = "raise"
    ) -> Iterator[Prediction] | Iterator[Prediction | AudioError]:
        """Classify recordings in parallel and yield their predictions in order.

        Each thread takes a recording from reading to probabilities, so that one is read while another is in the
        network. A single recording uses all threads.

        Args:
            recordings: paths, open binary files or segments.
            errors: treatment of recordings that cannot be read. "return" yields an AudioError instead of the
                prediction. "raise" stops yielding at the first one, still reads all others, and then raises one
                AudioError that summarizes all.

        Raises:
            AudioError: recordings cannot be read and `errors` is "raise".
            UsageError: `errors` is neither.

        >>> from scenelet.model.pretrained import example
        >>> found = load("esc10").predict_many([example("esc10"), "missing.wav"], errors="return")
        >>> [result if isinstance(result, AudioError) else result.label for result in found]
        ['dog', AudioError('missing.wav: no such file')]
        """
        check_on_error(errors)
        results = self._predict_each(recordings)
        return results if errors == "return" else raise_at_end(results)

    def predict_proba(self, samples: ArrayLike, sample_rate: int) -> Probabilities:
        """Classify samples (channels, n): return probabilities (classes,) that sum to 1.

        Silence, and sound of less than `scenelet.audio.windows.MIN_SECONDS`, has equal probabilities.

        Args:
            samples: floating point with full scale +-1, one or two channels, (n,) for mono.
            sample_rate: Hz.

        Raises:
            AudioError: there are no samples, or some are not finite.
            UsageError: another shape or type, or an invalid sample rate.

        >>> import scenelet
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 22050)
        >>> classifier = scenelet.load("esc10")
        >>> classifier.labels[classifier.predict_proba(noise, 22050).argmax()]
        'rain'
        """
        checked = check_samples(samples, sample_rate)
        cuts = windows_of_array(checked, int(sample_rate), self.model.features, self.model.window, self.threads)
        prediction = self.combine_windows(self._run(cuts), cuts.no_sound)
        return np.array(list(prediction.probabilities.values()), np.float32)

    def log_mel_windows(self, recording: AudioSource) -> Iterator[Features]:
        """Yield the network's input for each window of a recording: log-mel (channels, n_mels, frames), dB.

        Raises:
            AudioError: as `predict`.

        >>> from scenelet.model.pretrained import example
        >>> [log_mel.shape for log_mel in load("esc10").log_mel_windows(example("esc10"))]
        [(1, 64, 216)]
        """
        cuts = windows(recording, self.model.features, self.model.window, self.threads)
        yield from map(self._shared.log_mel, cuts)

    def embeddings(self, recording: AudioSource) -> NDArray[np.float32]:
        """Compute what the network's last layer reads for each window of a recording: (windows, values).

        Such an embedding describes a sound in the network's terms, for a classifier of your own. That of a silent
        window is 0. ONNX Runtime computes it in fp32. An ensemble has the values of its members next to each other. If
        the last layer is a convolution, the embedding is the mean over frequency and time of what it reads.

        Args:
            recording: as in `predict`.

        Raises:
            AudioError: as `predict`.

        >>> from scenelet.model.pretrained import example
        >>> load("esc10").embeddings(example("esc10")).shape
        (1, 152)
        """
        cuts = windows(_check_recording(recording), self.model.features, self.model.window, self.threads)
        return np.stack([self.embed_window(cut) for cut in cuts])

    def probabilities(self, log_mel: NDArray[np.floating]) -> Probabilities:
        """Run the network on the features of windows (n, channels, n_mels, frames): return (n, classes).

        The network runs one window at a time. This is the fastest way on a CPU, and a window's probabilities cannot
        depend on the others.

        Raises:
            UsageError: another shape.

        >>> classifier = load("esc10")
        >>> classifier.probabilities(np.zeros((2, *classifier.model.input_shape), np.float32)).shape
        (2, 10)
        """
        if log_mel.shape[1:] != self.model.input_shape:
            raise UsageError(f"log_mel has the shape {log_mel.shape}; the model takes (n, *{self.model.input_shape})")
        rows = [self._shared.run_network(window).probabilities for window in log_mel]
        return np.stack(rows) if rows else np.zeros((0, len(self.labels)), np.float32)

    def predict_window(self, samples: Samples) -> WindowPrediction:
        """Classify one window (channels, n) of `scenelet.audio.windows`."""
        return self._shared(samples)

    def combine_windows(self, windows: Sequence[WindowPrediction], no_sound: NoSound | None = None) -> Prediction:
        """Average the predictions of a recording's windows, of which there is at least one, to its prediction.

        Args:
            windows: results of `predict_window`.
            no_sound: the windows' `no_sound`, see `scenelet.audio.windows.Windows`.

        >>> rows = np.float32([[0, 0.5, 0.5, *[0] * 7], [0, 0, 1, *[0] * 7]])
        >>> load("esc10").combine_windows([WindowPrediction(row, similarity=0.9) for row in rows]).label
        'crackling_fire'
        """
        rows = np.stack([window.probabilities for window in windows])
        if no_sound is None and not rows.any():
            no_sound = "silence"
        mean = mean_probabilities(rows if no_sound is None else np.zeros_like(rows))
        probabilities = dict(zip(self.labels, mean.tolist(), strict=True))
        if no_sound is not None:
            return Prediction(no_sound, probabilities, rows, unsure=True, is_known=False)
        top, similarity = int(mean.argmax()), mean_similarity(windows)
        is_known = similarity is None or similarity >= self.min_similarity
        is_unsure = not is_known or float(mean[top]) < self.thresholds[top]
        return Prediction(self.labels[top], probabilities, rows, is_unsure, similarity, is_known)

    @functools.cached_property
    def embed_window(self) -> EmbeddingPipeline:
        """Function from one window (channels, n) of `scenelet.audio.windows` to its embedding (values,)."""
        return make_embedding_pipeline(self.model, self.threads, self.callers)

    def _run(self, cuts: Windows) -> list[WindowPrediction]:
        """Classify windows of samples with all threads."""
        first, *more = itertools.islice(cuts, 2)
        rest = itertools.chain([first], more, cuts)
        if not more or self.threads == 1:
            return [self._shared(cut) for cut in rest]
        return list(map_threads(self._single, rest, self.threads))

    def predict_in_one_thread(self, recording: AudioSource) -> Prediction:
        """Classify a recording as `predict` does, for a caller that distributes recordings over its threads."""
        cuts = windows(_check_recording(recording), self.model.features, self.model.window)
        return self.combine_windows([self._single(cut) for cut in cuts], cuts.no_sound)

    def _predict_each(self, recordings: Iterable[AudioSource]) -> Iterator[Prediction | AudioError]:
        iterator = iter(recordings)
        first = list(itertools.islice(iterator, 2))
        if len(first) < 2 or self.threads == 1:
            yield from map(return_error(self.predict), itertools.chain(first, iterator))
            return
        yield from map_threads(return_error(self.predict_in_one_thread), itertools.chain(first, iterator), self.threads)


def check_on_error(errors: str) -> None:
    """Raise UsageError if `errors` is no treatment of recordings that cannot be read, see `OnError`."""
    if errors not in get_args(OnError):
        raise UsageError(f"errors is {errors!r}; give 'raise' or 'return'")


def _check_recording(recording: AudioSource) -> AudioSource:
    """Return the recording, or raise UsageError if it is neither a path nor an open binary file."""
    if isinstance(recording, str) and recording.startswith(("http://", "https://")):
        raise UsageError(f"{recording}: is a URL; download it first, or use `scenelet predict --out`")
    if isinstance(recording, str | os.PathLike | Segment) or callable(getattr(recording, "seek", None)):
        return recording
    raise UsageError(
        f"a recording is {type(recording).__name__}; give a path or an open binary file,"
        " and samples to predict_proba(samples, sample_rate)"
    )


def load(
    model: str | os.PathLike[str], threads: int | None = None, runtime: RuntimeName = "onnxruntime", callers: int = 1
) -> Classifier:
    """Load a model for prediction.

    Args:
        model: the path of a `.scn` file or the name of a built-in model. An existing file takes precedence, a folder
            does not.
        threads, runtime, callers: as `Classifier`.

    Raises:
        ModelFileError: the file is missing, not a model or damaged, or no built-in model has this name.
        UsageError: as `Classifier`.

    >>> import scenelet
    >>> scenelet.load("esc10").labels[0]
    'chainsaw'
    """
    return Classifier(read_model(model_path(model)), threads, runtime, callers)
