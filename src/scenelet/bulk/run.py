"""Run a bulk job to its end, or go on with one: begin, hand out the shards, count what is there."""

import contextlib
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenelet.bulk.engines import Engine, EngineName, get_engine
from scenelet.bulk.job import ERRORS, INSIDE, Job, Task, begin, check_owned
from scenelet.bulk.manifest import open_manifest, scan_manifest
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import parquet_errors
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import OutputError
from scenelet.inference.classifier import model_path
from scenelet.inference.runtimes import RuntimeName, check_runtime
from scenelet.model import file as modelfile
from scenelet.utils.console import print_message, track
from scenelet.utils.locks import file_lock
from scenelet.utils.text import pluralize

MAX_CONSECUTIVE_FAILURES = 5
"""Parts that fail one after the other: a disk is full, a host is gone, and the others would fail too."""
SHOWN = 5
"""Errors that are said, of however many."""
MAX_LISTED_ERRORS = ["index", "input", "error"]
"""Columns of `errors.csv`."""


@dataclass(frozen=True)
class JobSummary:
    """What a finished job holds.

    Attributes:
        inputs: rows of the manifest, each of them once.
        windows: rows with a result.
        errors: inputs that could not be read, a row each.
        parts: Parquet files.
        workers: processes that worked in this run.
        peak_bytes: the most memory that one of them had.
        first_errors: what is wrong with some of the bad ones.
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
    engine: EngineName = "local",
    workers: int | None = None,
    shard_size: int | None = None,
    runtime: RuntimeName = "onnxruntime",
    retry_errors: bool = False,
) -> JobSummary:
    """Probabilities of every window of every recording that a manifest lists, as Parquet in the folder `out`.

    A call that was cut is made again, and goes on.

    Args:
        model: path of a model file, or a built-in name.
        manifest: path or URL of a CSV or Parquet file, see `scenelet.bulk.manifest`; or a folder.
        out: folder or URL to write to.
        engine: see `scenelet.bulk.engines`.
        workers: processes, of one thread each; None: one a processor, of the machine or the cluster.
        shard: inputs of a part; None: found from their number, or what the job began with.
        runtime: what runs the network.
        redo: make the parts anew that hold errors.

    Raises:
        SceneletError: the model, the manifest or the folder cannot be used, or some shards were not done.
    """
    check_runtime(runtime)
    data = modelfile.read_bytes(model_path(model))
    read = modelfile.decode_model(data, str(model))
    task = Task(
        kind="predict",
        features=read.features,
        window=read.window,
        labels=read.labels,
        model=hashlib.sha256(data).hexdigest(),
        runtime=runtime,
    )
    return _run(task, data, manifest, out, engine, workers, shard_size, retry_errors)


def extract(
    config: FeatureConfig,
    window: WindowConfig,
    manifest: str,
    out: str,
    *,
    engine: EngineName = "local",
    workers: int | None = None,
    shard_size: int | None = None,
    retry_errors: bool = False,
) -> JobSummary:
    """The log-mel of every window of every recording, fp16; the rest as for `predict`."""
    task = Task(kind="features", features=config, window=window)
    return _run(task, b"", manifest, out, engine, workers, shard_size, retry_errors)


def _run(
    task: Task,
    model: bytes,
    manifest: str,
    out: str,
    engine: EngineName,
    workers: int | None,
    shard_size: int | None,
    retry_errors: bool,
) -> JobSummary:
    do_all, folder = get_engine(engine), Folder(out)
    listed = scan_manifest(manifest)
    check_owned(folder)
    with _alone(folder):
        job = begin(folder, task, model, listed, shard_size)
        for below in ("", INSIDE):
            folder.remove_partial(below)
        if retry_errors:
            _remove_with_errors(job, folder)
        pending = job.pending(folder)
        done = job.shards - len(pending)
        if done and pending:
            print_message(f"{folder.place}: {done:,} of {pluralize(job.shards, 'part')} are done; going on")
        seen: dict[str, int] = {}
        fault = _do(job, folder, do_all, pending, workers, seen) if pending else ""
        _require_all(job, folder, fault)
        return _count(job, folder, seen)


def _do(job: Job, folder: Folder, do_all: Engine, shards: list[int], workers: int | None, seen: dict[str, int]) -> str:
    """Have the shards done; notes in `seen` each worker's peak memory, and returns a fault, if there was one."""
    fault, in_a_row = "", 0
    reports = do_all(folder.place, job.fingerprint, shards, workers)
    with contextlib.closing(reports):
        for report in track(reports, job.task.kind.capitalize(), len(shards)):
            seen[report["worker"]] = max(report["peak_bytes"], seen.get(report["worker"], 0))
            fault = report["fault"] or fault
            in_a_row = in_a_row + 1 if report["fault"] else 0
            if in_a_row == MAX_CONSECUTIVE_FAILURES:
                break
    return fault


@contextlib.contextmanager
def _alone(folder: Folder) -> Iterator[None]:
    """Keep a second run away from a folder on disk; behind a URL two may do the same work, and write the same."""
    if folder.is_remote:
        yield
        return
    with file_lock(
        Path(folder.at(INSIDE)) / "lock", f"{folder.place}: another run is writing into it; wait for its end"
    ):
        yield


def _require_all(job: Job, folder: Folder, fault: str) -> None:
    missing = len(job.pending(folder))
    if missing:
        why = fault or "their workers died again and again; are they short of memory?"
        raise OutputError(
            f"{folder.place}: {missing:,} of {pluralize(job.shards, 'part')} could not be made ({why});"
            " the same command goes on with them"
        )


def count_errors(job: Job, folder: Folder, shard: int) -> tuple[int, int, list[tuple[int, str, str]]]:
    """Of a part: its inputs, its rows, and (index, input, error) of each that is bad. Raises OutputError."""
    name = job.part(shard)
    with folder.reading(name) as file, parquet_errors(folder.at(name)):
        part = open_manifest(file)
        inputs = int(part.schema_arrow.metadata[b"inputs"])
        table = part.read(columns=MAX_LISTED_ERRORS, use_threads=False)
        bad = table.filter(table.column("error").is_valid())
        columns = (bad.column(name).to_pylist() for name in MAX_LISTED_ERRORS)
        return inputs, table.num_rows, list(zip(*columns, strict=True))


def _remove_with_errors(job: Job, folder: Folder) -> None:
    pending = set(job.pending(folder))
    for shard in range(job.shards):
        if shard not in pending and count_errors(job, folder, shard)[2]:
            folder.remove(job.part(shard))


def _count(job: Job, folder: Folder, seen: dict[str, int]) -> JobSummary:
    """Count what lies in the parts, whoever wrote them, and list the errors in `errors.csv`."""
    inputs = rows = bad = 0
    first: list[str] = []
    with folder.writing(ERRORS) as path, path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(MAX_LISTED_ERRORS)
        for shard in range(job.shards):
            more_inputs, more_rows, errors = count_errors(job, folder, shard)
            with folder.translate_errors(folder.at(ERRORS), "written"):
                table.writerows(errors)
                file.flush()
            inputs, rows, bad = inputs + more_inputs, rows + more_rows, bad + len(errors)
            first += [error for *_, error in errors[: SHOWN - len(first)]]
    if inputs != job.inputs:
        raise OutputError(f"{folder.place}: holds {inputs:,} of {job.inputs:,} inputs; choose another folder")
    return JobSummary(inputs, rows - bad, bad, job.shards, len(seen), max(seen.values(), default=0), tuple(first))
