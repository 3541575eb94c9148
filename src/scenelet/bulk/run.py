"""Run or resume a bulk job: record it, distribute its shards, and count the results."""

import contextlib
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenelet.bulk.engines import Engine, EngineName, get_engine
from scenelet.bulk.job import ERRORS_FILE, JOB_FOLDER, Job, Task, check_only_job, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.parts import ERROR_COLUMNS, PartSummary, summarize_part
from scenelet.bulk.storage import Folder
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import OutputError
from scenelet.inference.runtimes import RuntimeName, check_runtime
from scenelet.model import file as modelfile
from scenelet.model.pretrained import model_path
from scenelet.utils.console import print_message, track
from scenelet.utils.locks import file_lock
from scenelet.utils.text import pluralize

MAX_CONSECUTIVE_FAILURES = 5
"""Failed parts in a row after which a run aborts."""
MAX_SHOWN_ERRORS = 5


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

    Raises:
        SceneletError: the model, the manifest or the folder cannot be used, or some parts could not be written.

    Examples:
        >>> summary = predict("esc10", "archive.csv", "results")  # doctest: +SKIP
    """
    check_runtime(runtime)
    data = modelfile.read_bytes(model_path(model))
    decoded = modelfile.decode_model(data, str(model))
    task = Task(
        kind="predict",
        features=decoded.features,
        window=decoded.window,
        labels=decoded.labels,
        model=hashlib.sha256(data).hexdigest(),
        runtime=runtime,
    )
    return _run(task, data, manifest, out, engine, workers, shard_size, retry_errors)


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
) -> JobSummary:
    """Write the log-mel of every window of every recording in fp16.

    Args:
        features: settings of the log-mel.
        window: settings of the windows.
        manifest, out, engine, workers, shard_size, retry_errors: as for `predict`.

    Raises:
        SceneletError: the manifest or the folder cannot be used, or some parts could not be written.

    Examples:
        >>> model = scenelet.load("esc10").model  # doctest: +SKIP
        >>> summary = extract(model.features, model.window, "archive.csv", "features")  # doctest: +SKIP
    """
    task = Task(kind="features", features=features, window=window)
    return _run(task, b"", manifest, out, engine, workers, shard_size, retry_errors)


def _run(
    task: Task,
    model: bytes,
    manifest_path: str,
    out: str,
    engine: EngineName | Engine,
    workers: int | None,
    shard_size: int | None,
    retry_errors: bool,
) -> JobSummary:
    run_engine = get_engine(engine) if isinstance(engine, str) else engine
    folder = Folder(out)
    manifest = scan_manifest(manifest_path)
    check_only_job(folder)
    with job_lock(folder):
        job = start_job(folder, task, model, manifest, shard_size)
        for subfolder in ("", JOB_FOLDER):
            folder.remove_partial(subfolder)
        if retry_errors:
            _remove_parts_with_errors(job, folder)
        pending = job.pending_shards(folder)
        done = job.shards - len(pending)
        if done and pending:
            print_message(f"{folder.path}: {done:,} of {pluralize(job.shards, 'part')} are done; resuming")
        peaks: dict[str, int] = {}
        error = _process_shards(job, folder, run_engine, pending, workers, peaks) if pending else ""
        _check_all_done(job, folder, error)
        return _summarize(job, folder, peaks)


def _process_shards(
    job: Job, folder: Folder, run_engine: Engine, shards: list[int], workers: int | None, peaks: dict[str, int]
) -> str:
    """Process the shards; store each worker's peak memory in `peaks`, and return the last error or an empty text."""
    last_error, consecutive_failures = "", 0
    results = run_engine(folder.path, job.job_hash, shards, workers)
    with contextlib.closing(results):
        for result in track(results, job.task.kind.capitalize(), len(shards)):
            peaks[result["worker"]] = max(result["peak_bytes"], peaks.get(result["worker"], 0))
            last_error = result["error"] or last_error
            consecutive_failures = consecutive_failures + 1 if result["error"] else 0
            if consecutive_failures == MAX_CONSECUTIVE_FAILURES:
                break
    return last_error


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


def _check_all_done(job: Job, folder: Folder, error: str) -> None:
    missing = len(job.pending_shards(folder))
    if missing:
        reason = error or "their workers died repeatedly; check that there is enough memory"
        raise OutputError(
            f"{folder.path}: {missing:,} of {pluralize(job.shards, 'part')} could not be written ({reason});"
            " run the same command again to resume"
        )


def summarize_shard(job: Job, folder: Folder, shard: int) -> PartSummary:
    """Read the counts and errors of a shard's part.

    Raises:
        OutputError: the part cannot be read, or is damaged.
    """
    name = job.part_name(shard)
    with folder.open(name) as file:
        return summarize_part(folder.path_of(name), file)


def _remove_parts_with_errors(job: Job, folder: Folder) -> None:
    pending = set(job.pending_shards(folder))
    for shard in range(job.shards):
        if shard not in pending and summarize_shard(job, folder, shard).errors:
            folder.remove(job.part_name(shard))


def _summarize(job: Job, folder: Folder, peaks: dict[str, int]) -> JobSummary:
    """Count the rows of all parts, including those of earlier runs, and list the errors in `errors.csv`."""
    inputs = rows = errors = 0
    first_errors: list[str] = []
    with folder.replace(ERRORS_FILE) as path, path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(ERROR_COLUMNS)
        for shard in range(job.shards):
            part = summarize_shard(job, folder, shard)
            with folder.translate_errors(folder.path_of(ERRORS_FILE), "written"):
                table.writerows(part.errors)
                file.flush()
            inputs, rows, errors = inputs + part.inputs, rows + part.rows, errors + len(part.errors)
            first_errors += [error for *_, error in part.errors[: MAX_SHOWN_ERRORS - len(first_errors)]]
    if inputs != job.inputs:
        raise OutputError(f"{folder.path}: holds {inputs:,} of {job.inputs:,} inputs; choose another folder")
    peak_bytes = max(peaks.values(), default=0)
    return JobSummary(inputs, rows - errors, errors, job.shards, len(peaks), peak_bytes, tuple(first_errors))
