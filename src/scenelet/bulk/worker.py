"""Worker: writes the part of a shard, in one thread and constant memory, and in the same way under every engine."""

import contextlib
import functools
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from scenelet.bulk.job import Probes, check_probes, read_inputs, read_job
from scenelet.bulk.parts import BUFFER_BYTES, PartCounts, PartWriter
from scenelet.bulk.remote import LOCAL_ERRNOS, HostError, Remote, RemoteFileError
from scenelet.bulk.rows import make_rows
from scenelet.bulk.storage import Folder
from scenelet.bulk.urls import error_reason, host_of, is_url, join
from scenelet.errors import AudioError, OutputError, SceneletError, hide_secrets
from scenelet.utils.process import peak_memory

MAX_HOST_FAILURES = 3
"""Failures of a host in a row after which a worker does not contact it again for the same part."""

HostErrors = dict[str, tuple[int, str]]
"""For each host that failed, the number of recordings and the last reason."""


@dataclass(frozen=True)
class ShardResult:
    """Outcome of a shard.

    Attributes:
        shard: its number.
        worker: machine and process.
        peak_bytes: peak memory of the process.
        error: empty if the part was written.
        counts: counts of the part; None if it was not written, or existed before.
        host_errors: hosts that failed.
    """

    shard: int
    worker: str
    peak_bytes: int
    error: str = ""
    counts: PartCounts | None = None
    host_errors: HostErrors = field(default_factory=dict)


def process_shard(folder: str, job_hash: str, protocols: tuple[str, ...], probes: Probes, shard: int) -> ShardResult:
    """Write the Parquet file of a shard, or do nothing if it exists. The arguments are those of `Worker`."""
    error, counts, host_errors = "", None, HostErrors()
    try:
        counts, host_errors = get_worker(folder, job_hash, protocols, probes).process(shard)
    except SceneletError as caught:
        error = str(caught)
    return ShardResult(shard, f"{socket.gethostname()}:{os.getpid()}", peak_memory(), error, counts, host_errors)


@functools.lru_cache(1)
def get_worker(*arguments: Any) -> "Worker":
    """Return the worker of this process, which loads the model once."""
    return Worker(*arguments)


class Worker:
    """Processes shards of one job.

    Args:
        folder: path or URL of the job's folder.
        job_hash: the job's `job_hash`.
        protocols: protocols that are allowed besides the usual ones.
        probes: recordings that every machine must see alike.
        buffer_bytes: approximate size of rows, and of one recording's features, that are held in memory.

    Raises:
        SceneletError: the job or its model cannot be read, or this machine sees other recordings.
    """

    def __init__(
        self,
        folder: str,
        job_hash: str,
        protocols: tuple[str, ...] = (),
        probes: Probes = (),
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self.remote = Remote(protocols)
        self.folder = Folder(folder, self.remote)
        self.job = read_job(self.folder)
        if self.job.job_hash != job_hash:
            raise OutputError(f"{self.folder.path}: another job was started in it; choose another folder")
        check_probes(probes)
        self.buffer_bytes = buffer_bytes
        self.rows = make_rows(self.job.task, self.folder, buffer_bytes)
        self._hosts_read = set[str]()

    def process(self, shard: int) -> tuple[PartCounts | None, HostErrors]:
        """Write the Parquet file of a shard unless it exists; return its counts and the hosts that failed."""
        self._host_errors, self._failures_in_a_row = HostErrors(), Counter[str]()
        name = self.job.part_name(shard)
        if self.folder.exists(name):
            return None, {}
        metadata = {**(self.rows.schema.metadata or {}), "scenelet": self.job.job_hash, "shard": str(shard)}
        schema = self.rows.schema.with_metadata(metadata)
        with self.folder.replace(name) as path, PartWriter(path, schema, self.buffer_bytes) as part:
            for index, text in enumerate(read_inputs(self.job, self.folder, shard), shard * self.job.shard_size):
                self._process_input(part, index, text)
        return part.counts, self._host_errors

    def _process_input(self, part: PartWriter, index: int, text: str) -> None:
        """Add the rows of one input, or one row with its error, whatever the error is."""
        path = join(self.job.base, text)
        columns = {"index": index, "input": hide_secrets(text)}
        is_host_error = False
        try:
            with self._open(path) as source:
                part.add(columns, self.rows.read(source))
            return
        except HostError as error:
            message, is_host_error = str(error), True
            self._failures_in_a_row[error.host] += 1
            self._host_errors[error.host] = self._host_errors.get(error.host, (0, ""))[0] + 1, error.reason
        except (AudioError, RemoteFileError) as error:
            message = str(error)
        except SceneletError:
            raise
        except Exception as error:  # noqa: BLE001  a stranger writes the row and the recording; the others go on
            kind, reason = "" if isinstance(error, OSError) else f"{type(error).__name__}: ", error_reason(error)
            if isinstance(error, OSError) and error.errno in LOCAL_ERRNOS:
                folder = tempfile.gettempdir()
                raise OutputError(f"{folder}: no space to work in ({reason}); delete some files") from None
            message = f"{path}: cannot be read ({kind}{reason})"
        # the class makes any text printable and short
        part.add_error({**columns, "error": str(AudioError(message))}, is_host_error)

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[Path | BinaryIO]:
        """Yield the path of a recording, or an open copy if it is behind a URL. Raises as `Remote.download`."""
        if not is_url(path):
            yield Path(path)
            return
        host = host_of(path)
        if self._failures_in_a_row[host] >= MAX_HOST_FAILURES:
            raise HostError(path, self._host_errors[host][1])
        try:
            with self.remote.temporary_copy(path) as source:
                self._failures_in_a_row[host] = 0
                self._hosts_read.add(host)
                yield source
        except HostError as error:
            if error.is_denial and host in self._hosts_read:  # it denies this file, but not others
                raise RemoteFileError(str(error)) from None
            raise
