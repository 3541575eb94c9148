"""Run or resume a bulk job: record it, distribute its shards, and count the results."""

import contextlib
import csv
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenelet.bulk.engines import Engine, EngineName, get_engine
from scenelet.bulk.job import COUNTS_FILE, ERRORS_FILE, JOB_FOLDER, Job, Task, check_only_job, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.parts import ERROR_COLUMNS, PartCounts, read_counts, read_errors
from scenelet.bulk.remote import Remote
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import JobReference, ShardResult, process_shard, sample_inputs
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import DataError, OutputError
from scenelet.inference.runtimes import RuntimeName, check_runtime
from scenelet.model.file import decode_model, read_bytes
from scenelet.model.pretrained import model_path
from scenelet.utils.console import print_message, track
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.locks import file_lock
from scenelet.utils.parallel import map_threads
from scenelet.utils.text import pluralize

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


def predict(
    model: str,
    manifest: str,
    out: str,
    *,
    engine: EngineName | Engine = "local",
    workers: int | None = None,
    shard_size: int | None = None,
    runtime: RuntimeName = "onnxruntime",
    retry_errors: bool = False,
    protocols: Sequence[str] = (),
) -> JobSummary:
    """Classify every window of every recording in a manifest; write Parquet files to the folder `out`.

    To resume an interrupted job, call the function again with the same arguments.

    Args:
        model: path of a model file, or the name of a pretrained model.
        manifest: path or URL of a CSV or Parquet file, see `scenelet.bulk.manifest`; or a folder.
        out: folder or URL for the results.
        engine: name of an engine, or an engine itself, see `scenelet.bulk.engines`.
        workers: number of processes with one thread each; None uses all processors of the machine or cluster.
        shard_size: inputs per part; None uses the interrupted job's, or one that depends on the number of inputs.
        runtime: runtime of the network.
        retry_errors: whether to repeat the parts that contain errors.
        protocols: protocols of fsspec that URLs may have besides `scenelet.bulk.remote.PROTOCOLS`.

    Raises:
        SceneletError: the model, the manifest or the folder cannot be used, some parts could not be written, or some
            recordings could not be read because of their hosts.

    Examples:
        >>> summary = predict("esc10", "archive.csv", "results")  # doctest: +SKIP
    """
    check_runtime(runtime)
    data = read_bytes(model_path(model))
    decoded = decode_model(data, str(model))
    task = Task(
        kind="predict",
        features=decoded.features,
        window=decoded.window,
        labels=decoded.labels,
        model=hashlib.sha256(data).hexdigest(),
        runtime=runtime,
    )
    return _run(task, data, manifest, out, engine, workers, shard_size, retry_errors, protocols)


def extract(
    features: FeatureConfig,
    window: WindowConfig,
    manifest: str,
    out: str,
    *,
    engine: EngineName | Engine = "local",
    workers: int | None = None,
    shard_size: int | None = None,
    retry_errors: bool = False,
    protocols: Sequence[str] = (),
) -> JobSummary:
    """Write the log-mel of every window of every recording in fp16.

    Args:
        features: settings of the log-mel.
        window: settings of the windows.
        manifest, out, engine, workers, shard_size, retry_errors, protocols: as for `predict`.

    Raises:
        SceneletError: as for `predict`.

    Examples:
        >>> model = scenelet.load("esc10").model  # doctest: +SKIP
        >>> summary = extract(model.features, model.window, "archive.csv", "features")  # doctest: +SKIP
    """
    task = Task(kind="features", features=features, window=window)
    return _run(task, b"", manifest, out, engine, workers, shard_size, retry_errors, protocols)


def _run(
    task: Task,
    model: bytes,
    manifest_path: str,
    out: str,
    engine: EngineName | Engine,
    workers: int | None,
    shard_size: int | None,
    retry_errors: bool,
    protocols: Sequence[str],
) -> JobSummary:
    run_engine = get_engine(engine) if isinstance(engine, str) else engine
    remote = Remote(tuple(protocols))
    folder = Folder(out, remote)
    manifest = scan_manifest(manifest_path, remote)
    check_only_job(folder)
    with job_lock(folder):
        job = start_job(folder, task, model, manifest, shard_size)
        for subfolder in ("", JOB_FOLDER):
            folder.remove_partial(subfolder)
        progress = Progress(_take_counts(job, folder))
        for shard, counts in list(progress.counts.items()):
            if counts.host_errors or (retry_errors and counts.errors):
                folder.remove(job.part_name(shard))
                del progress.counts[shard]
        pending = [shard for shard in range(job.shards) if shard not in progress.counts]
        done = job.shards - len(pending)
        if done and pending:
            print_message(f"{folder.path}: {done:,} of {pluralize(job.shards, 'part')} are done; resuming")
        if pending:
            probes = () if engine == "local" else sample_inputs(job, folder)
            reference = JobReference(folder.path, job.job_hash, remote.protocols, probes)
            results = run_engine(functools.partial(process_shard, reference), pending, workers)
            with contextlib.closing(results):
                progress.follow(track(results, job.task.kind.capitalize(), len(pending)))
            _remove_useless_parts(job, folder, progress)
        folder.write(COUNTS_FILE, json.dumps(progress.counts))
        _check_all_done(job, folder, progress)
        summary = _summarize(job, folder, progress)
    if progress.host_errors:
        raise DataError(
            f"{folder.path}: {progress.describe_hosts()}; fix that and run the same command again, which reads them"
        )
    return summary


@dataclass
class Progress:
    """Parts that exist, and what happened in this run.

    Attributes:
        counts: counts of each part, by its number.
        peaks: peak memory of each worker in bytes.
        host_errors: for each host that failed, the number of recordings and the reason.
        useless: parts of this run in which every recording failed because of its host.
        useful: number of other parts of this run.
        error: the last error of a part.
    """

    counts: dict[int, PartCounts]
    peaks: dict[str, int] = field(default_factory=dict)
    host_errors: dict[str, tuple[int, str]] = field(default_factory=dict)
    useless: list[int] = field(default_factory=list)
    useful: int = 0
    error: str = ""

    def follow(self, results: Iterator[ShardResult]) -> None:
        """Add up results until the end, or until some parts in a row have failed."""
        failures = 0
        for result in results:
            if result.worker:
                self.peaks[result.worker] = max(result.peak_bytes, self.peaks.get(result.worker, 0))
            for host, (count, reason) in result.host_errors.items():
                self.host_errors[host] = count + self.host_errors.get(host, (0, ""))[0], reason
            counts = result.counts
            if counts is not None:
                self.counts[result.shard] = counts
            is_useless = counts is not None and counts.host_errors == counts.inputs
            if is_useless:
                self.useless.append(result.shard)
            self.useful += not (result.error or is_useless)
            self.error = result.error or self.error
            failures = failures + 1 if result.error or is_useless else 0
            if failures == MAX_CONSECUTIVE_FAILURES:
                return

    def describe_hosts(self) -> str:
        """Describe the hosts that failed in one sentence."""
        hosts = [f"{pluralize(count, 'recording')} of {host}: {why}" for host, (count, why) in self.host_errors.items()]
        more = f"; and of {len(hosts) - MAX_SHOWN_ERRORS:,} more hosts" if len(hosts) > MAX_SHOWN_ERRORS else ""
        return f"could not read {'; '.join(hosts[:MAX_SHOWN_ERRORS])}{more}"


@contextlib.contextmanager
def job_lock(folder: Folder) -> Iterator[None]:
    """Keep other runs out of a folder on disk.

    Behind a URL there is no lock. Two runs may do the same work there, and write the same files.

    Raises:
        BusyError: another run holds the lock.
    """
    if folder.is_remote:
        yield
        return
    busy = f"{folder.path}: another run is writing to it; wait until it ends"
    with file_lock(Path(folder.path_of(JOB_FOLDER)) / "lock", busy):
        yield


def _take_counts(job: Job, folder: Folder) -> dict[int, PartCounts]:
    """Return the counts of all parts that exist, and delete their list, which is written again at the end of the run.

    Parts that the list of the last run lacks are opened, for example if that run was killed.
    """
    existing, listed = folder.names(), dict[str, list[int]]()
    with contextlib.suppress(OutputError, ValueError):
        listed = json.loads(folder.read(COUNTS_FILE)) if folder.exists(COUNTS_FILE) else {}
    if listed:
        folder.remove(COUNTS_FILE)
    shards = [shard for shard in range(job.shards) if job.part_name(shard) in existing]
    counts = {shard: PartCounts(*listed[str(shard)]) for shard in shards if str(shard) in listed}

    def read(shard: int) -> PartCounts:
        with folder.open(job.part_name(shard)) as file:
            return read_counts(folder.path_of(job.part_name(shard)), file)

    missing = [shard for shard in shards if shard not in counts]
    return counts | dict(zip(missing, map_threads(read, missing, READ_THREADS), strict=True))


def _remove_useless_parts(job: Job, folder: Folder, progress: Progress) -> None:
    """Remove parts without any result if no part of this run has one: their hosts failed as a whole."""
    if progress.useful:
        return
    for shard in progress.useless:
        folder.remove(job.part_name(shard))
        del progress.counts[shard]


def _check_all_done(job: Job, folder: Folder, progress: Progress) -> None:
    missing = len(job.pending_shards(folder))
    if missing:
        hosts = progress.describe_hosts() if progress.host_errors else ""
        reason = progress.error or hosts or "their workers died repeatedly; check that there is enough memory"
        raise OutputError(
            f"{folder.path}: {missing:,} of {pluralize(job.shards, 'part')} could not be written ({reason});"
            " run the same command again to resume"
        )


def _summarize(job: Job, folder: Folder, progress: Progress) -> JobSummary:
    """Add up the counts of all parts, and list their errors in `errors.csv`."""
    # a part that another command wrote during this run is not counted yet
    counts = progress.counts if len(progress.counts) == job.shards else _take_counts(job, folder)
    with_errors = [shard for shard in range(job.shards) if counts[shard].errors]

    def read(shard: int) -> list[tuple[int, str, str]]:
        with folder.open(job.part_name(shard)) as file:
            return read_errors(folder.path_of(job.part_name(shard)), file)

    first_errors: list[str] = []
    with folder.replace(ERRORS_FILE) as path, path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(ERROR_COLUMNS)
        for errors in map_threads(read, with_errors, READ_THREADS):
            with folder.translate_errors(folder.path_of(ERRORS_FILE), "written"):
                table.writerows(map(safe_row, errors))
                file.flush()
            first_errors += [error for *_, error in errors[: MAX_SHOWN_ERRORS - len(first_errors)]]
    inputs, rows, errors_, _ = (sum(column) for column in zip(*counts.values(), strict=True))
    if inputs != job.inputs:
        raise OutputError(f"{folder.path}: holds {inputs:,} of {job.inputs:,} inputs; choose another folder")
    peak_bytes, workers = max(progress.peaks.values(), default=0), len(progress.peaks)
    return JobSummary(inputs, rows - errors_, errors_, job.shards, workers, peak_bytes, tuple(first_errors))
