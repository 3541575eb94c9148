"""Run a bulk job to its end, or go on with one: begin, hand out the shards, count what is there."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
import fsspec

from scenelet import modelfile
from scenelet.classifier import model_path
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.console import say, track
from scenelet.errors import OutputError
from scenelet.files import csv_text
from scenelet.runtimes import RuntimeName
from scenelet.scale.engines import EngineName, by_name
from scenelet.scale.job import ERRORS, INSIDE, Job, Task, begin
from scenelet.scale.manifest import opened, survey
from scenelet.scale.storage import Folder, is_url
from scenelet.scale.work import Report
from scenelet.wording import counted


@dataclass(frozen=True)
class Summary:
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
    shard: int | None = None,
    runtime: RuntimeName = "onnxruntime",
) -> Summary:
    """Probabilities of every window of every recording that a manifest lists, as Parquet in the folder `out`.

    A call that was cut is made again, and goes on.

    Args:
        model: path of a model file, or a built-in name.
        manifest: path or URL of a CSV or Parquet file, see `scenelet.scale.manifest`; or a folder.
        out: folder or URL to write to.
        engine: see `scenelet.scale.engines`.
        workers: processes, of one thread each; None: one a processor, of the machine or the cluster.
        shard: inputs of a part; None: found from their number, or what the job began with.
        runtime: what runs the network.

    Raises:
        SceneletError: the model, the manifest or the folder cannot be used, or some shards were not done.
    """
    data = modelfile.read_bytes(model_path(model))
    read = modelfile.decode(data, str(model))
    task = Task(
        kind="predict",
        features=read.features,
        window=read.window,
        labels=read.labels,
        model=hashlib.sha256(data).hexdigest(),
        runtime=runtime,
    )
    return _run(task, data, manifest, out, engine, workers, shard)


def features(
    config: FeatureConfig,
    window: WindowConfig,
    manifest: str,
    out: str,
    *,
    engine: EngineName = "local",
    workers: int | None = None,
    shard: int | None = None,
) -> Summary:
    """The log-mel of every window of every recording, fp16; the rest as for `predict`."""
    task = Task(kind="features", features=config, window=window)
    return _run(task, b"", manifest, out, engine, workers, shard)


def _run(
    task: Task, model: bytes, manifest: str, out: str, engine: EngineName, workers: int | None, shard: int | None
) -> Summary:
    do_all, folder = by_name(engine), Folder(out)
    listed = survey(manifest)
    with _alone(folder):
        job = begin(folder, task, model, listed, shard)
        folder.remove_partial()
        pending = job.pending(folder)
        done = job.shards - len(pending)
        if done and pending:
            say(f"{folder.place}: {done:,} of {counted(job.shards, 'part')} are done; going on")
        faults: dict[int, str] = {}
        seen: dict[str, int] = {}
        if pending:
            reports = do_all(folder.place, job.fingerprint, pending, workers)
            for report in track(reports, task.kind.capitalize(), len(pending)):
                _note(report, faults, seen)
        _require_all(job, folder, faults)
        return _count(job, folder, seen)


def _note(report: Report, faults: dict[int, str], seen: dict[str, int]) -> None:
    if report["fault"]:
        faults[report["shard"]] = report["fault"]
    seen[report["worker"]] = max(report["peak_bytes"], seen.get(report["worker"], 0))


@contextlib.contextmanager
def _alone(folder: Folder) -> Iterator[None]:
    """Keep a second run away from a folder on disk; behind a URL two may do the same work, and write the same."""
    if is_url(folder.place):
        yield
        return
    inside = Path(folder.at(INSIDE))
    try:
        inside.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(inside / "lock", timeout=0):
            yield
    except filelock.Timeout:
        raise OutputError(f"{folder.place}: another run is writing into it; wait for its end") from None
    except OSError as error:
        raise OutputError(f"{folder.place}: cannot be written ({error.strerror}); choose another place") from None


def _require_all(job: Job, folder: Folder, faults: dict[int, str]) -> None:
    missing = job.pending(folder)
    if not missing:
        return
    why = next((faults[shard] for shard in missing if shard in faults), "")
    why = f" ({why})" if why else " (their workers died again and again; are they short of memory?)"
    raise OutputError(
        f"{folder.place}: {len(missing):,} of {counted(job.shards, 'part')} could not be made{why};"
        " the same command goes on with them"
    )


def _count(job: Job, folder: Folder, seen: dict[str, int]) -> Summary:
    """Count the parts' rows, and write `errors.csv`; from the files, whoever wrote them."""
    filesystem, root = fsspec.core.url_to_fs(folder.place)
    inputs = rows = 0
    errors: list[tuple[str, str]] = []
    for shard in range(job.shards):
        with filesystem.open(f"{root}/{job.part(shard)}", "rb") as file:
            part = opened(file)
            inputs += int(part.schema_arrow.metadata[b"inputs"])
            rows += part.metadata.num_rows
            table = part.read(columns=["input", "error"], use_threads=False)
            bad = table.filter(table.column("error").is_valid())
            errors += zip(bad.column("input").to_pylist(), bad.column("error").to_pylist(), strict=True)
    folder.write(ERRORS, csv_text(["input", "error"], errors))
    first = tuple(error for _, error in errors[:5])
    return Summary(inputs, rows - len(errors), len(errors), job.shards, len(seen), max(seen.values(), default=0), first)
