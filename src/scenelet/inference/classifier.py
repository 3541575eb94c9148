"""A `.scn` file -> scene probabilities of recordings and arrays, without PyTorch."""

import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenelet.audio import windows as audio
from scenelet.audio.io import Samples
from scenelet.audio.log_mel import Features, LogMel
from scenelet.errors import AudioError, ModelFileError, UsageError, did_you_mean
from scenelet.inference.runtimes import Network, RuntimeName, open_network
from scenelet.inference.threshold import MIN_THRESHOLD
from scenelet.model import file as modelfile
from scenelet.model.pretrained import built_in, list_built_in
from scenelet.model.scene_model import SceneModel
from scenelet.utils.parallel import cpu_count, map_threads

Probabilities = NDArray[np.float32]
Source = str | os.PathLike[str] | BinaryIO
"""Path of a recording, or an open binary file that holds one: see `scenelet.audio.io`."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says about one recording.

    `probabilities` is label -> share, in the model's order, and the mean over the rows of
    `windows` (n_windows, classes); `label` is the most probable one.
    """

    label: str
    probabilities: dict[str, float]
    windows: Probabilities


class Classifier:
    """A loaded model.

    One window is worked on by all threads together; several windows, or several recordings, are
    shared out among the threads, which takes less time in all. The numbers do not depend on it.

    Args:
        model: what a `.scn` file holds.
        threads: how many; None: one a core.
        runtime: what runs the network, see `scenelet.inference.runtimes.open_network`.

    Raises:
        ModelFileError: the model's nodes, arrays and features do not fit together.
        UsageError: threads below 1; no such runtime, or it is not installed.
    """

    def __init__(self, model: SceneModel, threads: int | None = None, runtime: RuntimeName = "onnxruntime") -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; it is 1 or more, or None for one a core")
        self.model, self.runtime = model, runtime
        self.threads = threads or cpu_count()
        self._together = self._way(self.threads, callers=1)
        self._made_from = model, threads, runtime

    def __reduce__(self) -> tuple[type["Classifier"], tuple[SceneModel, int | None, RuntimeName]]:
        """Pickle and copy by what it was made from: a runtime's session can be neither."""
        return type(self), self._made_from

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of every probability vector."""
        return self.model.labels

    @property
    def threshold(self) -> float:
        """The probability below which an answer is unsure: what `compress` found, or a half; `scenelet.inference.threshold`."""
        stored = self.model.results.get("threshold")
        below = stored.get("below") if isinstance(stored, dict) else None
        return float(below) if isinstance(below, int | float) and 0 <= below <= 1 else MIN_THRESHOLD

    def predict(self, recording: Source, *, alone: bool = False, max_seconds: float | None = None) -> Prediction:
        """Classify a recording: cut into windows, the mean of their probabilities; constant memory.

        Args:
            recording: its path, or an open binary file that holds it.
            alone: by the calling thread alone, for a program in which several threads call; the numbers are the same.
            max_seconds: refuse what is longer.

        Raises:
            AudioError: not a recording that can be read, or too long; see `scenelet.audio.io.blocks`.
        """
        if not alone:
            return self._prediction(self._share_out(self._cuts(recording, self.threads, max_seconds)))
        return self._prediction(np.stack([self._by_itself(cut) for cut in self._cuts(recording, 1, max_seconds)]))

    def predict_many(self, paths: Iterable[Source]) -> Iterator[Prediction | AudioError]:
        """Classify recordings, several at once; for each, in their order, the prediction or what is wrong with it.

        Each thread takes a recording from reading to probabilities, so one is read while another is in the network.
        """
        if self.threads == 1:
            yield from map(self._alone, paths)
            return
        _ = self._by_itself  # made here, once, and not by each thread
        yield from map_threads(self._alone, paths, self.threads)

    def predict_proba(self, samples: ArrayLike, sample_rate: int) -> Probabilities:
        """Samples (channels, n) -> probabilities (classes,) that sum to 1.

        Args:
            samples: floating point, full scale +-1; one or two channels; (n,) is mono.
            sample_rate: Hz.

        Raises:
            AudioError: no samples, or some are not finite.
            UsageError: another shape or type, or a sample rate that is none.
        """
        checked = audio.check_samples(samples, sample_rate)
        features, window = self.model.features, self.model.window
        rates = int(sample_rate), features.sample_rate
        cuts = audio.windows_of_array(checked, *rates, features.channels, window, self.threads)
        return mean_probabilities(self._share_out(cuts))

    def log_mel_windows(self, recording: Source, *, alone: bool = False) -> Iterator[Features]:
        """What the network sees of a recording: the log-mel (channels, n_mels, frames) of each window, dB.

        `alone` as for `predict`.

        Raises:
            AudioError: as `predict`.
        """
        way = self._by_itself if alone else self._together
        for cut in self._cuts(recording, 1 if alone else self.threads):
            yield way.log_mel(cut)

    def probabilities(self, log_mel: NDArray[np.floating]) -> Probabilities:
        """Features of windows (n, channels, n_mels, frames) -> probabilities (n, classes).

        Windows are run one by one: it is the fastest on a CPU, and a window's numbers cannot
        depend on its neighbours.

        Raises:
            UsageError: another shape.
        """
        if log_mel.shape[1:] != self.model.input_shape:
            raise UsageError(f"log_mel has the shape {log_mel.shape}; the model takes (n, *{self.model.input_shape})")
        rows = [self._together.network(window) for window in log_mel]
        return np.stack(rows) if rows else np.zeros((0, len(self.labels)), np.float32)

    def predict_window(self, samples: Samples, *, alone: bool = False) -> Probabilities:
        """One window's samples (channels, n) as `scenelet.audio.windows.WindowSplitter` cuts them -> probabilities (classes,).

        `alone` as for `predict`.
        """
        return (self._by_itself if alone else self._together)(samples)

    @functools.cached_property
    def _by_itself(self) -> "_Pipeline":
        """For a thread that does a window alone, beside others that do theirs."""
        return self._together if self.threads == 1 else self._way(1, callers=self.threads)

    def _way(self, threads: int, callers: int) -> "_Pipeline":
        model = self.model
        network = open_network(
            model.nodes, model.arrays, model.input_shape, runtime=self.runtime, threads=threads, callers=callers
        )
        return _Pipeline(LogMel(model.features, threads), network)

    def _cuts(self, recording: Source, threads: int, max_seconds: float | None = None) -> Iterator[Samples]:
        source = Path(recording) if isinstance(recording, str | os.PathLike) else recording
        features, window = self.model.features, self.model.window
        return audio.windows_of_file(source, features.sample_rate, features.channels, window, threads, max_seconds)

    def _share_out(self, cuts: Iterator[Samples]) -> Probabilities:
        """Windows of samples -> (windows, classes), by all threads."""
        first, *more = itertools.islice(cuts, 2)
        if not more:
            return self._together(first)[None]
        rest = itertools.chain([first], more, cuts)
        return np.stack(list(map_threads(self._by_itself, rest, self.threads)))

    def _alone(self, recording: Source) -> Prediction | AudioError:
        """A recording by the thread that calls."""
        try:
            return self.predict(recording, alone=True)
        except AudioError as error:
            return error

    def _prediction(self, windows: Probabilities) -> Prediction:
        mean = mean_probabilities(windows)
        shares = {label: float(p) for label, p in zip(self.labels, mean, strict=True)}
        return Prediction(self.labels[int(mean.argmax())], shares, windows)


class _Pipeline:
    """From the samples of one window (channels, n) to its probabilities (classes,)."""

    def __init__(self, log_mel: LogMel, network: Network) -> None:
        self.log_mel, self._network = log_mel, network

    def __call__(self, samples: Samples) -> Probabilities:
        return self.network(self.log_mel(samples))

    def network(self, log_mel: Features | NDArray[np.floating]) -> Probabilities:
        """Features (channels, n_mels, frames) -> (classes,)."""
        row: Probabilities = self._network(np.ascontiguousarray(log_mel[None], np.float32))[0]
        if not np.isfinite(row).all():
            raise ModelFileError("the model's probabilities are not finite numbers; train or compress it again")
        return row


def load(model: str | os.PathLike[str], threads: int | None = None, runtime: RuntimeName = "onnxruntime") -> Classifier:
    """Load a model for prediction.

    Args:
        model: path of a `.scn` file, or a built-in name; an existing file wins, a folder does not.
        threads, runtime: see `Classifier`.

    Raises:
        ModelFileError: the file is missing, no model, or damaged; no model is built in under this name.
        UsageError: as `Classifier`.
    """
    return Classifier(modelfile.read_model(model_path(model)), threads, runtime)


def model_path(model: str | os.PathLike[str]) -> Path:
    """Path of a `.scn` file, or a built-in name -> the path; an existing file wins, a folder does not.

    Raises:
        ModelFileError: neither a path nor the name of a built-in model.
    """
    path = Path(model)
    # what looks like a path is meant as one; reading it will say what is wrong
    if path.is_file() or path.suffix != "" or path.name != os.fspath(model):
        return path
    found = built_in(path.name)
    if found is not None:
        return found
    if path.exists():
        return path
    near = did_you_mean(path.name, list_built_in())
    raise ModelFileError(f"{model}: no such file, and no model is built in under this name; give a .scn file{near}")


def mean_probabilities(windows: Probabilities) -> Probabilities:
    """Windows' probabilities (n, classes), n >= 1 -> the recording's (classes,), summing to 1."""
    mean = windows.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / mean.sum(), np.float32)
