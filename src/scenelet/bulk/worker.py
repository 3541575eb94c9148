"""A shard -> its part: what a worker process does, the same under every engine, in one thread and constant memory."""

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
from pyarrow import parquet

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.bulk.inputs import open_input
from scenelet.bulk.job import INPUTS, MODEL, Task, read_job
from scenelet.bulk.manifest import INPUT, open_manifest
from scenelet.bulk.remote import FULL, reason
from scenelet.bulk.storage import Folder, join
from scenelet.errors import AudioError, OutputError, SceneletError
from scenelet.inference.classifier import Classifier
from scenelet.model import file as modelfile
from scenelet.model.scene_model import input_shape
from scenelet.utils.process import peak_memory

IN_MEMORY = 1 << 25
"""Bytes of rows that are kept before they are written, and of one recording's features before they go to disk."""

CELL = 150
"""Bytes of a value in a row that waits, about."""

Array = NDArray[Any]


class ShardResult(TypedDict):
    """What a worker says of a shard that it has done, or not (`fault`)."""

    shard: int
    worker: str
    peak_bytes: int
    fault: str


def process_shard(place: str, fingerprint: str, shard: int) -> ShardResult:
    """Make a shard's part of the job in the folder `place`, unless it is there; an error of ours becomes the fault."""
    fault = ""
    try:
        _worker(place, fingerprint).work(shard)
    except SceneletError as error:
        fault = str(error)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    return ShardResult(shard=shard, worker=worker, peak_bytes=peak_memory(), fault=fault)


@functools.lru_cache(1)
def _worker(place: str, fingerprint: str) -> "Worker":
    """Made once in a process: the model is loaded once."""
    return Worker(Folder(place), fingerprint)


class Worker:
    """Does shards of one job.

    Args:
        folder: the job's.
        fingerprint: of the job.

    Raises:
        OutputError: the job cannot be read, or is another.
        ModelFileError: its model neither.
    """

    def __init__(self, folder: Folder, fingerprint: str) -> None:
        self.folder, self.job = folder, read_job(folder)
        if self.job.fingerprint != fingerprint:
            raise OutputError(f"{folder.place}: another job was begun in it; choose another folder")
        self.maker = make_row_builder(self.job.task, folder)

    def work(self, shard: int) -> None:
        """Write the shard's part, unless it is there. Raises SceneletError."""
        name = self.job.part(shard)
        if self.folder.exists(name):
            return
        texts = self.texts(shard)
        about = {"scenelet": self.job.fingerprint, "shard": str(shard), "inputs": str(len(texts))}
        schema = self.maker.schema.with_metadata({**(self.maker.schema.metadata or {}), **about})
        with self.folder.writing(name) as path, _Part(path, schema) as part:
            for index, text in enumerate(texts, shard * self.job.shard_size):
                self._input(part, index, text)

    def texts(self, shard: int) -> list[str]:
        """Inputs of a shard, as the manifest writes them. Raises OutputError."""
        with self.folder.reading(INPUTS) as file, parquet_errors(self.folder.at(INPUTS)):
            texts = open_manifest(file).read_row_group(shard, use_threads=False).column(INPUT).to_pylist()
            if not all(isinstance(text, str) for text in texts):
                raise TypeError
            return cast(list[str], texts)

    def _input(self, part: "_Part", index: int, text: str) -> None:
        """The rows of one input; where it is bad, one row that says why."""
        first = {"index": index, "input": text}
        place = join(self.job.base, text)
        try:
            with open_input(place) as source, self.maker.rows(source) as rows:
                for window, row in enumerate(rows):
                    start = window * self.maker.hop_seconds
                    part.add({**first, "window": window, "start_seconds": start, **row})
        except AudioError as error:
            part.add({**first, "error": str(error)})
        except OSError as error:
            if error.errno in FULL:
                message = f"{tempfile.gettempdir()}: no room to work in ({reason(error)}); make some"
                raise OutputError(message) from None
            part.add({**first, "error": f"{place}: cannot be read ({reason(error)})"})


@contextlib.contextmanager
def parquet_errors(place: str) -> Iterator[None]:
    """Around reading a Parquet file that we wrote. Raises OutputError where it is damaged."""
    try:
        yield
    except (pyarrow.ArrowException, LookupError, ValueError, TypeError):
        raise OutputError(f"{place}: damaged; delete it, and run the same command again") from None


FIRST = [
    pyarrow.field("index", pyarrow.int64(), nullable=False),
    pyarrow.field("input", pyarrow.string(), nullable=False),
    pyarrow.field("window", pyarrow.int32()),
    pyarrow.field("start_seconds", pyarrow.float64()),
]
LAST = [pyarrow.field("error", pyarrow.string())]


def make_row_builder(task: Task, folder: Folder) -> "_Probabilities | _LogMels":
    """What makes a task's rows. Raises OutputError, ModelFileError."""
    if task.kind == "features":
        return _LogMels(task)
    data = folder.read(MODEL)
    if hashlib.sha256(data).hexdigest() != task.model:
        raise OutputError(f"{folder.at(MODEL)}: is not the model that the job began with; choose another folder")
    model = modelfile.decode_model(data, folder.at(MODEL))
    return _Probabilities(Classifier(model, threads=1, runtime=task.runtime))


class _Probabilities:
    """Recording -> label and probabilities of each window: what `Classifier.predict` says."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        rate, window = classifier.model.features.sample_rate, classifier.model.window
        self.hop_seconds = window.hop_samples(rate) / rate
        own = [pyarrow.field("label", pyarrow.string())]
        own += [pyarrow.field(f"p_{label}", pyarrow.float32()) for label in classifier.labels]
        self.schema = pyarrow.schema([*FIRST, *own, *LAST])

    @contextlib.contextmanager
    def rows(self, source: Path | BinaryIO) -> Iterator[Iterator[dict[str, Any]]]:
        """Rows of a recording, once all of it was read. Raises AudioError."""
        prediction = self.classifier.predict(source)
        yield (self._row(shares) for shares in prediction.windows)

    def _row(self, shares: Array) -> dict[str, Any]:
        labels = self.classifier.labels
        named = {f"p_{label}": float(p) for label, p in zip(labels, shares, strict=True)}
        return {"label": labels[int(shares.argmax())], **named}


class _LogMels:
    """Recording -> the log-mel of each window, fp16 as in the feature cache."""

    def __init__(self, task: Task) -> None:
        self.task, self.log_mel = task, LogMel(task.features)
        rate = task.features.sample_rate
        self.hop_seconds = task.window.hop_samples(rate) / rate
        self.shape = input_shape(task.features, task.window)
        about = {"shape": "x".join(map(str, self.shape)), "features": task.features.model_dump_json()}
        own = [pyarrow.field("log_mel", pyarrow.list_(pyarrow.float16()))]
        self.schema = pyarrow.schema([*FIRST, *own, *LAST], about)

    @contextlib.contextmanager
    def rows(self, source: Path | BinaryIO) -> Iterator[Iterator[dict[str, Any]]]:
        """Rows of a recording, once all of it was read: a long one waits on disk. Raises AudioError."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="scenelet-") as waiting:
            count = 0
            for samples in windows(source, self.task.features, self.task.window):
                waiting.write(self.log_mel(samples).astype(np.float16).tobytes())
                count += 1
            waiting.seek(0)
            size = 2 * int(np.prod(self.shape))
            yield ({"log_mel": np.frombuffer(waiting.read(size), np.float16)} for _ in range(count))


class _Part:
    """Writes rows as Parquet, some at a time; the same rows give the same bytes. Raises OutputError."""

    def __init__(self, path: Path, schema: pyarrow.Schema) -> None:
        self.path, self.schema = path, schema
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0
        with self._spoken():
            self._writer = parquet.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> "_Part":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._flush()
        finally:
            with self._spoken():
                self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Add a row by column; columns that it lacks are null."""
        self._waiting.append(row)
        arrays = sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
        self._bytes += arrays + CELL * len(row)
        if self._bytes >= IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        columns = [[row.get(field.name) for row in self._waiting] for field in self.schema]
        arrays = [pyarrow.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)]
        with self._spoken():
            self._writer.write_table(pyarrow.table(arrays, self.schema))
        self._waiting, self._bytes = [], 0

    @contextlib.contextmanager
    def _spoken(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.path.parent}: cannot be written ({reason(error)}); choose another place"
            ) from None
