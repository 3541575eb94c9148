"""Run or resume a bulk job: record it, distribute its shards, and count the results."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from scenelet.bulk.engines import Engine, EngineName, get_engine
from scenelet.bulk.job import COUNTS_FILE, JOB_FOLDER, Kind, Task, check_only_job, sample_inputs, start_job
from scenelet.bulk.manifest import scan_manifest
from scenelet.bulk.progress import JobSummary, Progress, summarize, take_counts
from scenelet.bulk.remote import Remote
from scenelet.bulk.storage import Folder
from scenelet.bulk.worker import process_shard
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.errors import DataError, OutputError, WorkerError
from scenelet.inference.runtimes import RuntimeName, check_runtime
from scenelet.model.file import decode_model, read_bytes
from scenelet.model.pretrained import model_path
from scenelet.utils.console import print_message, track
from scenelet.utils.locks import file_lock
from scenelet.utils.text import pluralize


class Options(TypedDict, total=False):
    """Options of `predict` and `extract`.

    Attributes:
        engine: name of an engine, or an engine itself, see `scenelet.bulk.engines`; "local" by default.
        workers: number of processes with one thread each; None uses all processors of the machine or cluster.
        shard_size: inputs per part; None uses the interrupted job's, or one that depends on the number of inputs.
        retry_errors: whether to repeat the parts that contain errors.
        protocols: protocols of fsspec that URLs may have besides `scenelet.bulk.remote.PROTOCOLS`.
    """

    engine: EngineName | Engine
    workers: int | None
    shard_size: int | None
    retry_errors: bool
    protocols: Sequence[str]


def predict(
    model: str, manifest: str, out: str, *, runtime: RuntimeName = "onnxruntime", **options: Unpack[Options]
) -> JobSummary:
    """Classify every window of every recording in a manifest; write Parquet files to the folder `out`.

    To resume an interrupted job, call the function again with the same arguments.

    Args:
        model: path of a model file, or the name of a pretrained model.
        manifest: path or URL of a CSV or Parquet file, see `scenelet.bulk.manifest`; or a folder.
        out: folder or URL for the results.
        runtime: runtime of the network.
        **options: see `Options`.

    Raises:
        SceneletError: the model, the manifest or the folder cannot be used, some parts could not be written, or some
            recordings could not be read because of their hosts.

    Examples:
        >>> summary = predict("esc10", "archive.csv", "results")  # doctest: +SKIP
    """
    check_runtime(runtime)
    return _run(*_model_task("predict", model, runtime), manifest, out, **options)


def embed(model: str, manifest: str, out: str, **options: Unpack[Options]) -> JobSummary:
    """Write the embedding of every window of every recording in fp32, see `scenelet.Classifier.embeddings`.

    Args:
        model, manifest, out: as for `predict`.
        **options: see `Options`.

    Raises:
        SceneletError: as for `predict`.

    Examples:
        >>> summary = embed("esc10", "archive.csv", "embeddings")  # doctest: +SKIP
    """
    return _run(*_model_task("embeddings", model, "onnxruntime"), manifest, out, **options)


def extract(
    features: FeatureConfig, window: WindowConfig, manifest: str, out: str, **options: Unpack[Options]
) -> JobSummary:
    """Write the log-mel of every window of every recording in fp16.

    Args:
        features: settings of the log-mel.
        window: settings of the windows.
        manifest, out: as for `predict`.
        **options: see `Options`.

    Raises:
        SceneletError: as for `predict`.

    Examples:
        >>> model = scenelet.load("esc10").model  # doctest: +SKIP
        >>> summary = extract(model.features, model.window, "archive.csv", "features")  # doctest: +SKIP
    """
    return _run(Task(kind="features", features=features, window=window), b"", manifest, out, **options)


def _model_task(kind: Kind, model: str, runtime: RuntimeName) -> tuple[Task, bytes]:
    """Return the task of a model, and the bytes of its file."""
    data = read_bytes(model_path(model))
    decoded = decode_model(data, str(model))
    task = Task(
        kind=kind,
        features=decoded.features,
        window=decoded.window,
        labels=decoded.labels,
        model=hashlib.sha256(data).hexdigest(),
        runtime=runtime,
    )
    return task, data


def _run(
    task: Task,
    model: bytes,
    manifest_path: str,
    out: str,
    engine: EngineName | Engine = "local",
    workers: int | None = None,
    shard_size: int | None = None,
    retry_errors: bool = False,
    protocols: Sequence[str] = (),
) -> JobSummary:
    run_engine = get_engine(engine) if isinstance(engine, str) else engine
    remote = Remote(tuple(protocols))
    folder = Folder(out, remote)
    manifest = scan_manifest(manifest_path, remote)
    check_only_job(folder)
    with job_lock(folder):
        job = start_job(folder, task, model, manifest, shard_size)
        folder.remove_partial()
        folder.remove_partial(JOB_FOLDER)
        progress = Progress(take_counts(job, folder))
        for shard, counts in list(progress.counts.items()):
            if counts.host_errors or (retry_errors and counts.errors):
                progress.remove_part(job, folder, shard)
        pending = [shard for shard in range(job.shards) if shard not in progress.counts]
        if pending:
            if done := job.shards - len(pending):
                print_message(f"{folder.path}: {done:,} of {pluralize(job.shards, 'part')} are done; resuming")
            probes = () if engine == "local" else sample_inputs(job, folder)
            process = functools.partial(process_shard, folder.path, job.job_hash, remote.protocols, probes)
            results = run_engine(process, pending, workers)
            try:
                with contextlib.closing(results):
                    progress.follow(track(results, task.kind.capitalize(), len(pending)))
            except WorkerError as error:
                raise WorkerError(f"{folder.path}: {error}") from None
            progress.remove_useless_parts(job, folder)
        folder.write(COUNTS_FILE, json.dumps(dict(sorted(progress.counts.items()))))
        existing = folder.names()
        if missing := sum(job.part_name(shard) not in existing for shard in range(job.shards)):
            died = "their workers died repeatedly; check that there is enough memory"
            raise OutputError(
                f"{folder.path}: {missing:,} of {pluralize(job.shards, 'part')} could not be written"
                f" ({progress.error or progress.describe_hosts() or died}); run the same command again to resume"
            )
        summary = summarize(job, folder, progress)
    if progress.host_errors:
        hint = "fix that and run the same command again, which reads them"
        raise DataError(f"{folder.path}: {progress.describe_hosts()}; {hint}")
    return summary


@contextlib.contextmanager
def job_lock(folder: Folder) -> Iterator[None]:
    """Keep other runs out of a folder on disk; raise BusyError if another run holds the lock.

    Behind a URL there is no lock. Two runs may do the same work there, and write the same files.
    """
    path = Path(folder.path_of(JOB_FOLDER), "lock")
    busy = f"{folder.path}: another run is writing to it; wait until it ends"
    with contextlib.nullcontext() if folder.is_remote else file_lock(path, busy):
        yield
