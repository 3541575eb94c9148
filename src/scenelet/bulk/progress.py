"""Progress of a job: counts of its parts, failures of hosts, and the summary."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

from scenelet.bulk.job import COUNTS_FILE, ERRORS_FILE, Job
from scenelet.bulk.parts import ERROR_COLUMNS, PartCounts, read_counts, read_errors
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import HostErrors, ShardResult
from scenelet.errors import OutputError
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.parallel import map_threads
from scenelet.utils.text import pluralize

Content = TypeVar("Content")
MAX_CONSECUTIVE_FAILURES = 5
"""Failed parts in a row after which a run aborts."""
MAX_SHOWN_ERRORS = 5
READ_THREADS = 16
"""Parts that are read at a time, since each one costs a store's answer time."""


@dataclass(frozen=True)
class JobSummary:
    """Summary of a finished job.

    Attributes:
        inputs: rows of the manifest.
        windows: rows with a result.
        errors: inputs that could not be read, with one row each.
        parts: Parquet files.
        workers: processes that worked in this run.
        peak_bytes: largest peak memory of a worker in this run.
        first_errors: messages of the first inputs that could not be read.
    """

    inputs: int
    windows: int
    errors: int
    parts: int
    workers: int
    peak_bytes: int
    first_errors: tuple[str, ...]


@dataclass
class Progress:
    """Parts that exist, and what happened in this run.

    Attributes:
        counts: counts of each part, by its number.
        peaks: peak memory of each worker in bytes.
        host_errors: hosts that failed.
        is_failure: for each part of this run, whether every recording or the part itself has failed.
        error: the last error of a part.
    """

    counts: dict[int, PartCounts]
    peaks: dict[str, int] = field(default_factory=dict)
    host_errors: HostErrors = field(default_factory=dict)
    is_failure: dict[int, bool] = field(default_factory=dict)
    error: str = ""

    def follow(self, results: Iterator[ShardResult]) -> None:
        """Add up results until the end, or until some parts in a row have failed."""
        failures = 0
        for result in results:
            if result.worker:
                self.peaks[result.worker] = max(result.peak_bytes, self.peaks.get(result.worker, 0))
            for host, (count, reason) in result.host_errors.items():
                self.host_errors[host] = count + self.host_errors.get(host, (0, ""))[0], reason
            self.error = result.error or self.error
            has_failed = bool(result.error)
            if result.counts is not None:
                self.counts[result.shard] = result.counts
                has_failed = result.counts.host_errors == result.counts.inputs
            self.is_failure[result.shard] = has_failed
            failures = failures + 1 if has_failed else 0
            if failures == MAX_CONSECUTIVE_FAILURES:
                return

    def remove_part(self, job: Job, folder: Folder, shard: int) -> None:
        """Remove a part, which is then written again."""
        folder.remove(job.part_name(shard))
        del self.counts[shard]

    def remove_useless_parts(self, job: Job, folder: Folder) -> None:
        """Remove parts without any result if no part of this run has one: their hosts failed as a whole."""
        if all(self.is_failure.values()):
            for shard in self.counts.keys() & self.is_failure.keys():
                self.remove_part(job, folder, shard)

    def describe_hosts(self) -> str:
        """Describe the hosts that failed in one sentence, or return an empty text."""
        hosts = [f"{pluralize(count, 'recording')} of {host}: {why}" for host, (count, why) in self.host_errors.items()]
        more = f"; and of {len(hosts) - MAX_SHOWN_ERRORS:,} more hosts" if len(hosts) > MAX_SHOWN_ERRORS else ""
        return f"could not read {'; '.join(hosts[:MAX_SHOWN_ERRORS])}{more}" if hosts else ""


def take_counts(job: Job, folder: Folder) -> dict[int, PartCounts]:
    """Return the counts of all parts that exist, and delete their list, which is written again at the end of the run.

    Parts that the list of the last run lacks are opened, for example if that run was killed.
    """
    existing, listed = folder.names(), dict[str, list[int]]()
    if folder.exists(COUNTS_FILE):
        with contextlib.suppress(ValueError):
            listed = json.loads(folder.read(COUNTS_FILE))
        folder.remove(COUNTS_FILE)
    shards = [shard for shard in range(job.shards) if job.part_name(shard) in existing]
    counts = {shard: PartCounts(*listed[str(shard)]) for shard in shards if str(shard) in listed}
    unlisted = [shard for shard in shards if shard not in counts]
    return counts | dict(zip(unlisted, _read_parts(job, folder, unlisted, read_counts), strict=True))


def summarize(job: Job, folder: Folder, progress: Progress) -> JobSummary:
    """Add up the counts of all parts, and list their errors in `errors.csv`."""
    # a part that another command wrote during this run is not counted yet
    counts = progress.counts if len(progress.counts) == job.shards else take_counts(job, folder)
    first_errors: list[str] = []
    with_errors = [shard for shard in range(job.shards) if counts[shard].errors]
    with folder.replace(ERRORS_FILE) as path, path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(ERROR_COLUMNS)
        for rows in _read_parts(job, folder, with_errors, read_errors):
            with folder.translate_errors(folder.path_of(ERRORS_FILE), "written"):
                table.writerows(map(safe_row, rows))
                file.flush()
            first_errors += [error for *_, error in rows[: MAX_SHOWN_ERRORS - len(first_errors)]]
    total = PartCounts(*(sum(column) for column in zip(*counts.values(), strict=True)))
    if total.inputs != job.inputs:
        raise OutputError(f"{folder.path}: holds {total.inputs:,} of {job.inputs:,} inputs; choose another folder")
    peak_bytes, workers = max(progress.peaks.values(), default=0), len(progress.peaks)
    windows = total.rows - total.errors
    return JobSummary(total.inputs, windows, total.errors, job.shards, workers, peak_bytes, tuple(first_errors))


def _read_parts(
    job: Job, folder: Folder, shards: Iterable[int], read: Callable[[str, BinaryIO], Content]
) -> Iterator[Content]:
    def read_part(shard: int) -> Content:
        with folder.open(job.part_name(shard)) as file:
            return read(folder.path_of(job.part_name(shard)), file)

    return map_threads(read_part, shards, READ_THREADS)
