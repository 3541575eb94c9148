"""Worker: writes the part of a shard, in one thread and constant memory, and in the same way under every engine."""

import contextlib
import functools
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, cast

import numpy as np
import pyarrow
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.bulk.job import INPUTS_FILE, MODEL_FILE, Task, read_job
from scenelet.bulk.manifest import INPUT_COLUMN
from scenelet.bulk.parts import BUFFER_BYTES, FIRST_COLUMNS, LAST_COLUMNS, PartWriter, open_parquet, parquet_errors
from scenelet.bulk.remote import (
    LOCAL_ERRNOS,
    RETRY_PAUSE_SECONDS,
    RemoteFileError,
    error_reason,
    is_url,
    strip_file_scheme,
    temporary_copy,
)
from scenelet.bulk.storage import Folder, join
from scenelet.errors import AudioError, OutputError, SceneletError
from scenelet.inference.classifier import Classifier
from scenelet.model.file import decode_model
from scenelet.model.scene_model import input_shape
from scenelet.utils.process import peak_memory

Array = NDArray[Any]


class ShardResult(TypedDict):
    """Outcome of a shard; `error` is empty if its part was written."""

    shard: int
    worker: str
    peak_bytes: int
    error: str


def process_shard(folder: str, job_hash: str, shard: int) -> ShardResult:
    """Write the Parquet file of a shard, or do nothing if it exists.

    Args:
        folder: path or URL of the job's folder.
        job_hash: the job's `job_hash`.
        shard: index of the shard.
    """
    error = ""
    try:
        get_worker(folder, job_hash).process(shard)
    except SceneletError as failure:
        error = str(failure)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    return ShardResult(shard=shard, worker=worker, peak_bytes=peak_memory(), error=error)


@functools.lru_cache(1)
def get_worker(folder: str, job_hash: str) -> "Worker":
    """Return the worker of this process, which loads the model once."""
    return Worker(Folder(folder), job_hash)


class Worker:
    """Processes shards of one job.

    Args:
        folder: folder of the job.
        job_hash: the job's `job_hash`.
        buffer_bytes: approximate size of rows, and of one recording's features, that are held in memory.
        retry_pause_seconds: first pause before a download is tried again.

    Raises:
        OutputError: the job cannot be read, or the folder holds another job.
        ModelFileError: the job's model cannot be read.
    """

    def __init__(
        self,
        folder: Folder,
        job_hash: str,
        buffer_bytes: int = BUFFER_BYTES,
        retry_pause_seconds: float = RETRY_PAUSE_SECONDS,
    ) -> None:
        self.folder, self.job = folder, read_job(folder)
        if self.job.job_hash != job_hash:
            raise OutputError(f"{folder.path}: another job was started in it; choose another folder")
        self.buffer_bytes, self.retry_pause_seconds = buffer_bytes, retry_pause_seconds
        self.row_builder = make_row_builder(self.job.task, folder, buffer_bytes)

    def process(self, shard: int) -> None:
        """Write the Parquet file of a shard, or do nothing if it exists.

        Raises:
            SceneletError: the part cannot be written, or a recording's host cannot be reached.
        """
        name = self.job.part_name(shard)
        if self.folder.exists(name):
            return
        inputs = self.read_inputs(shard)
        metadata = {"scenelet": self.job.job_hash, "shard": str(shard), "inputs": str(len(inputs))}
        schema = self.row_builder.schema.with_metadata({**(self.row_builder.schema.metadata or {}), **metadata})
        with self.folder.replace(name) as path, PartWriter(path, schema, self.buffer_bytes) as part:
            for index, text in enumerate(inputs, shard * self.job.shard_size):
                self._process_input(part, index, text)

    def read_inputs(self, shard: int) -> list[str]:
        """Return the inputs of a shard, as the manifest writes them.

        Raises:
            OutputError: the list of inputs is damaged.
        """
        with self.folder.open(INPUTS_FILE) as file, parquet_errors(self.folder.path_of(INPUTS_FILE)):
            texts = open_parquet(file).read_row_group(shard, use_threads=False).column(INPUT_COLUMN).to_pylist()
            if not all(isinstance(text, str) for text in texts):
                raise TypeError
            return cast(list[str], texts)

    def _process_input(self, part: PartWriter, index: int, text: str) -> None:
        """Add the rows of one input, or one row with its error."""
        columns = {"index": index, "input": text}
        path = join(self.job.base, text)
        try:
            with open_input(path, self.retry_pause_seconds) as source, self.row_builder.rows(source) as rows:
                for window, row in enumerate(rows):
                    start = window * self.row_builder.hop_seconds
                    part.add({**columns, "window": window, "start_seconds": start, **row})
        except AudioError as error:
            part.add({**columns, "error": str(error)})
        except OSError as error:
            reason = error_reason(error)
            if error.errno in LOCAL_ERRNOS:
                raise OutputError(
                    f"{tempfile.gettempdir()}: no space to work in ({reason}); delete some files"
                ) from None
            part.add({**columns, "error": f"{path}: cannot be read ({reason})"})


@contextlib.contextmanager
def open_input(path: str, retry_pause_seconds: float = RETRY_PAUSE_SECONDS) -> Iterator[Path | BinaryIO]:
    """Yield a recording in a form that `Classifier.predict` accepts; a URL is downloaded to a temporary copy.

    Raises:
        AudioError: there is no readable file behind the URL.
        DataError: the host cannot be reached, so nothing is known about the recording.
        OutputError: there is no space for the copy.

    Examples:
        >>> with open_input("clips/a.wav") as source:
        ...     source.name
        'a.wav'
    """
    path = strip_file_scheme(path)
    if not is_url(path):
        yield Path(path)
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(temporary_copy(path, retry_pause_seconds))
        except RemoteFileError as error:
            raise AudioError(str(error)) from None
        yield file


def make_row_builder(task: Task, folder: Folder, buffer_bytes: int) -> "_ProbabilityRows | _FeatureRows":
    """Return the object that computes a task's rows.

    Raises:
        OutputError: the model in the folder is not the job's model.
        ModelFileError: the model cannot be read.
    """
    if task.kind == "features":
        return _FeatureRows(task, buffer_bytes)
    data, path = folder.read(MODEL_FILE), folder.path_of(MODEL_FILE)
    if hashlib.sha256(data).hexdigest() != task.model:
        raise OutputError(f"{path}: is not the model that the job was started with; choose another folder")
    model = decode_model(data, path)
    return _ProbabilityRows(Classifier(model, threads=1, runtime=task.runtime))


class _ProbabilityRows:
    """Computes the label and probabilities of each window, the same numbers as `Classifier.predict`."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        rate, window = classifier.model.features.sample_rate, classifier.model.window
        self.hop_seconds = window.hop_samples(rate) / rate
        columns = [pyarrow.field("label", pyarrow.string())]
        columns += [pyarrow.field(f"p_{label}", pyarrow.float32()) for label in classifier.labels]
        self.schema = pyarrow.schema([*FIRST_COLUMNS, *columns, *LAST_COLUMNS])

    @contextlib.contextmanager
    def rows(self, source: Path | BinaryIO) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the rows of a recording after all of it has been read; raises AudioError."""
        prediction = self.classifier.predict(source)
        yield (self._row(probabilities) for probabilities in prediction.windows)

    def _row(self, probabilities: Array) -> dict[str, Any]:
        labels = self.classifier.labels
        columns = {f"p_{label}": float(p) for label, p in zip(labels, probabilities, strict=True)}
        return {"label": labels[int(probabilities.argmax())], **columns}


class _FeatureRows:
    """Computes the log-mel of each window in fp16, as the feature cache stores it."""

    def __init__(self, task: Task, buffer_bytes: int) -> None:
        self.task, self.log_mel, self.buffer_bytes = task, LogMel(task.features), buffer_bytes
        rate = task.features.sample_rate
        self.hop_seconds = task.window.hop_samples(rate) / rate
        self.shape = input_shape(task.features, task.window)
        metadata = {"shape": "x".join(map(str, self.shape)), "features": task.features.model_dump_json()}
        columns = [pyarrow.field("log_mel", pyarrow.list_(pyarrow.float16()))]
        self.schema = pyarrow.schema([*FIRST_COLUMNS, *columns, *LAST_COLUMNS], metadata)

    @contextlib.contextmanager
    def rows(self, source: Path | BinaryIO) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the rows of a recording after all of it has been read; raises AudioError.

        The features of a long recording are buffered on disk.
        """
        with tempfile.SpooledTemporaryFile(self.buffer_bytes, prefix="scenelet-") as buffer:
            count = 0
            for samples in windows(source, self.task.features, self.task.window):
                buffer.write(self.log_mel(samples).astype(np.float16).tobytes())
                count += 1
            buffer.seek(0)
            size = 2 * int(np.prod(self.shape))
            yield ({"log_mel": np.frombuffer(buffer.read(size), np.float16)} for _ in range(count))
