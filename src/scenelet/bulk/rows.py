"""Rows of a recording: the columns with the probabilities, embeddings or features of its windows."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow
from numpy.typing import NDArray

from scenelet.audio.io import Samples, blocks
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import Windows
from scenelet.bulk.job import MODEL_FILE, Task
from scenelet.bulk.parts import FIRST_COLUMNS, LAST_COLUMNS
from scenelet.bulk.storage import Folder
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import OutputError
from scenelet.inference.classifier import Classifier
from scenelet.model.file import decode_model
from scenelet.model.known_sounds import embedding_size
from scenelet.model.scene_model import input_shape

Columns = dict[str, Any]
"""Values of some rows, by the name of the column."""


class WindowCutter:
    """Windows of recordings, and the times of each."""

    def __init__(self, features: FeatureConfig, window: WindowConfig) -> None:
        self.features, self.window = features, window
        self.hop_seconds = window.hop_samples(features.sample_rate) / features.sample_rate
        self.window_seconds = window.samples(features.sample_rate) / features.sample_rate

    def cut(self, source: Path | BinaryIO) -> Windows:
        """Cut a recording as `scenelet.audio.windows.windows` does. The windows raise AudioError when they are read."""
        self.seconds, self.notes = 0.0, list[str]()
        return Windows(self._count_seconds(blocks(source, on_note=self.notes.append)), self.features, self.window)

    def _count_seconds(self, pieces: Iterator[tuple[Samples, int]]) -> Iterator[tuple[Samples, int]]:
        for samples, rate in pieces:
            self.seconds += samples.shape[1] / rate
            yield samples, rate

    def columns(self, first: int, count: int) -> Columns:
        """Return the number, start and end of some windows, and notes, of the recording cut last."""
        numbers = np.arange(first, first + count)
        starts = numbers * self.hop_seconds
        ends = np.minimum(starts + self.window_seconds, self.seconds)
        note = "; ".join(self.notes) or None
        return {"window": numbers, "start_seconds": starts, "end_seconds": ends, "note": note}


class ProbabilityRows:
    """Rows with the label and probabilities of each window, the same numbers as `Classifier.predict`."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.cutter = WindowCutter(classifier.model.features, classifier.model.window)
        columns = [pyarrow.field("label", pyarrow.string()), pyarrow.field("unsure", pyarrow.bool_())]
        columns += [pyarrow.field(f"p_{label}", pyarrow.float32()) for label in classifier.labels]
        self.schema = pyarrow.schema([*FIRST_COLUMNS, *columns, *LAST_COLUMNS])

    def read(self, source: Path | BinaryIO) -> Iterator[Columns]:
        """Yield the rows of a recording after all of it has been read; raises AudioError."""
        cuts = self.cutter.cut(source)
        windows = [self.classifier.predict_window(cut) for cut in cuts]
        predictions = [self.classifier.combine_windows([window], cuts.no_sound) for window in windows]
        rows = np.stack([window.probabilities for window in windows])
        probabilities = {f"p_{label}": rows[:, k] for k, label in enumerate(self.classifier.labels)}
        answers = {name: [getattr(prediction, name) for prediction in predictions] for name in ("label", "unsure")}
        yield {**self.cutter.columns(0, len(windows)), **answers, **probabilities}


class EmbeddingRows:
    """Rows with the embedding of each window in fp32, see `Classifier.embeddings`."""

    def __init__(self, classifier: Classifier) -> None:
        model = classifier.model
        self.classifier, self.size = classifier, embedding_size(model.nodes, model.shapes())
        self.cutter = WindowCutter(model.features, model.window)
        columns = [pyarrow.field("embedding", pyarrow.list_(pyarrow.float32()))]
        self.schema = pyarrow.schema([*FIRST_COLUMNS, *columns, *LAST_COLUMNS])

    def read(self, source: Path | BinaryIO) -> Iterator[Columns]:
        """Yield the rows of a recording after all of it has been read; raises AudioError."""
        windows = np.stack([self.classifier.embed_window(cut) for cut in self.cutter.cut(source)])
        yield {**self.cutter.columns(0, len(windows)), "embedding": _lists(windows.ravel(), self.size)}


class FeatureRows:
    """Rows with the log-mel of each window in fp16, as the feature cache stores it.

    At most `buffer_bytes` of features are held in memory. Those of a long recording are buffered on disk.
    """

    def __init__(self, task: Task, buffer_bytes: int) -> None:
        self.cutter, self.log_mel = WindowCutter(task.features, task.window), LogMel(task.features)
        self.buffer_bytes = buffer_bytes
        shape = input_shape(task.features, task.window)
        self.size = int(np.prod(shape))
        metadata = {"shape": "x".join(map(str, shape)), "features": task.features.model_dump_json()}
        columns = [pyarrow.field("log_mel", pyarrow.list_(pyarrow.float16()))]
        self.schema = pyarrow.schema([*FIRST_COLUMNS, *columns, *LAST_COLUMNS], metadata)

    def read(self, source: Path | BinaryIO) -> Iterator[Columns]:
        """Yield the rows of a recording, some at a time, after all of it has been read; raises AudioError."""
        rows_at_once = max(1, self.buffer_bytes // (2 * self.size))
        with tempfile.SpooledTemporaryFile(self.buffer_bytes, prefix="scenelet-") as buffer:
            for samples in self.cutter.cut(source):
                buffer.write(self.log_mel(samples).astype(np.float16).tobytes())
            buffer.seek(0)
            first = 0
            while data := buffer.read(2 * self.size * rows_at_once):
                log_mel = _lists(np.frombuffer(data, np.float16), self.size)
                count = len(log_mel)
                yield {**self.cutter.columns(first, count), "log_mel": log_mel}
                first += count


def _lists(values: NDArray[np.floating], size: int) -> Any:
    """Return values as an Arrow array of lists of `size` each."""
    offsets = np.arange(0, len(values) + 1, size, dtype=np.int32)
    return pyarrow.ListArray.from_arrays(offsets, pyarrow.array(values))


def make_rows(task: Task, folder: Folder, buffer_bytes: int) -> ProbabilityRows | EmbeddingRows | FeatureRows:
    """Return the object that computes a task's rows; raise OutputError if the model in the folder is not the job's."""
    if task.kind == "features":
        return FeatureRows(task, buffer_bytes)
    data, path = folder.read(MODEL_FILE), folder.path_of(MODEL_FILE)
    if hashlib.sha256(data).hexdigest() != task.model:
        raise OutputError(f"{path}: is not the model that the job was started with; choose another folder")
    classifier = Classifier(decode_model(data, path), threads=1, runtime=task.runtime)
    return EmbeddingRows(classifier) if task.kind == "embeddings" else ProbabilityRows(classifier)
