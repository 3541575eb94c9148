"""Bulk job: the task, its inputs, and its files in the folder of results.

The folder holds one file per shard, `part-00000-HASH.parquet` and so on. A shard is a run of consecutive inputs. The
subfolder `_job`, which Parquet readers skip because of its name, holds `job.json`, `inputs.parquet` with one row group
per shard, `model.scn`, and finally `counts.json` with the counts of each part and `errors.csv`. A part that exists is
complete, so an interrupted job can resume. The name of a part includes the hash of model, settings and inputs, so that
parts of two jobs never mix.
"""

import hashlib
import json
import socket
from typing import Literal, cast

from pydantic import Field, ValidationError

from scenelet import __version__
from scenelet.bulk.manifest import INPUT_COLUMN, Manifest, write_inputs
from scenelet.bulk.parts import open_parquet, parquet_errors
from scenelet.bulk.storage import Folder
from scenelet.bulk.urls import is_url, join
from scenelet.config.frontend import FeatureConfig, Settings, WindowConfig
from scenelet.errors import DataError, OutputError
from scenelet.inference.runtimes import RuntimeName

FORMAT = 2
"""Version of the results; it increases when the same job no longer gives the same rows."""
JOB_FOLDER = "_job"
RECORD_FILE, INPUTS_FILE = f"{JOB_FOLDER}/job.json", f"{JOB_FOLDER}/inputs.parquet"
MODEL_FILE, ERRORS_FILE = f"{JOB_FOLDER}/model.scn", f"{JOB_FOLDER}/errors.csv"
COUNTS_FILE = f"{JOB_FOLDER}/counts.json"
PART_PREFIX = "part-"
MAX_SHARD_SIZE = 256
MIN_SHARDS = 16
HASH_CHARACTERS = 12
"""Length of the job's hash in the names of parts."""
MAX_PROBES, PROBE_BYTES = 8, 1 << 16
"""Number of recordings that all machines compare, and the bytes of each."""

Kind = Literal["predict", "features", "embeddings"]
Probes = tuple[tuple[str, str], ...]
"""Paths of recordings on disk, each with the hash of its beginning where the command was started."""


class Task(Settings):
    """Computation for each input: its features, or probabilities or embeddings from a model."""

    kind: Kind
    features: FeatureConfig
    window: WindowConfig
    labels: tuple[str, ...] = ()
    model: str = ""
    """SHA-256 of the model file, whose bytes are in the job's folder."""
    runtime: RuntimeName = "onnxruntime"


class Job(Settings):
    """Content of `job.json`."""

    task: Task
    base: str
    """Folder or URL that relative inputs start from."""
    inputs: int = Field(ge=1)
    digest: str
    """SHA-256 of all inputs, see `scenelet.bulk.manifest.Manifest`."""
    shard_size: int = Field(ge=1)
    """Inputs per part; the last part may have fewer."""
    version: str = __version__
    format: int = FORMAT

    @property
    def job_hash(self) -> str:
        """SHA-256 of every setting that affects the results."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.inputs // self.shard_size)

    def part_name(self, shard: int) -> str:
        """Return the name of a shard's file."""
        return f"{PART_PREFIX}{shard:05d}-{self.job_hash[:HASH_CHARACTERS]}.parquet"


def default_shard_size(inputs: int) -> int:
    """Return the default number of inputs per part: small for small jobs, so that all processors have work.

    Examples:
        >>> default_shard_size(100), default_shard_size(1_000_000)
        (7, 256)
    """
    return min(MAX_SHARD_SIZE, -(-inputs // MIN_SHARDS))


def start_job(folder: Folder, task: Task, model: bytes, manifest: Manifest, shard_size: int | None) -> Job:
    """Record a new job in the folder, or find the same job that was started before.

    `job.json` is written last, so a recorded job is complete.

    Args:
        folder: folder of the results.
        task: the computation.
        model: content of the model file; empty if the task needs none.
        manifest: the inputs.
        shard_size: inputs per part; None uses the recorded job's, or `default_shard_size`.

    Raises:
        OutputError: the folder holds parts of another job, or cannot be written.
        DataError: the manifest has changed since it was scanned.
    """
    wanted = Job(
        task=task,
        base=manifest.base,
        inputs=manifest.inputs,
        digest=manifest.digest,
        shard_size=shard_size or default_shard_size(manifest.inputs),
    )
    if folder.exists(RECORD_FILE):
        job = read_job(folder)
        if shard_size is None:
            wanted = wanted.model_copy(update={"shard_size": job.shard_size})
        if wanted == job:
            return job
        if any(name.startswith(PART_PREFIX) for name in folder.names()):
            raise OutputError(f"{folder.path}: holds results {_describe_change(job, wanted)}; choose another folder")
        folder.remove(RECORD_FILE)  # if this process is killed, the old record must not describe the new inputs
    if model:
        folder.write(MODEL_FILE, model)
    with folder.replace(INPUTS_FILE) as path:
        write_inputs(manifest, path, wanted.shard_size)
    folder.write(RECORD_FILE, wanted.model_dump_json(indent=2) + "\n")
    return wanted


def check_only_job(folder: Folder) -> None:
    """Check that the folder is empty or belongs to a job; raise OutputError if it holds other files."""
    names = folder.names()
    others = sorted(name for name in names - {JOB_FOLDER} if not name.startswith("."))
    if others and JOB_FOLDER not in names:
        raise OutputError(f"{folder.path}: holds other files ({others[0]}); choose an empty folder")


def read_job(folder: Folder) -> Job:
    """Read `job.json`; raise OutputError if it cannot be read or is damaged."""
    try:
        return Job.model_validate_json(folder.read(RECORD_FILE))
    except ValidationError:
        path = folder.path_of(RECORD_FILE)
        raise OutputError(f"{path}: damaged, or of another version; choose another folder") from None


def read_inputs(job: Job, folder: Folder, shard: int) -> list[str]:
    """Return the inputs of a shard, as the manifest writes them; raise OutputError if their list is damaged."""
    with folder.open(INPUTS_FILE) as file, parquet_errors(folder.path_of(INPUTS_FILE)):
        texts = open_parquet(file).read_row_group(shard, use_threads=False).column(INPUT_COLUMN).to_pylist()
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        return cast(list[str], texts)


def sample_inputs(job: Job, folder: Folder) -> Probes:
    """Return some recordings on disk as this machine sees them, spread over the whole job."""
    shards = sorted({job.shards * k // MAX_PROBES for k in range(MAX_PROBES)})
    paths = [join(job.base, read_inputs(job, folder, shard)[0]) for shard in shards]
    return tuple((path, digest) for path in paths if not is_url(path) and (digest := _fingerprint(path)))


def check_probes(probes: Probes) -> None:
    """Check that this machine sees the recordings that the one with the command sees; raise DataError if not."""
    for path, digest in probes:
        if (found := _fingerprint(path)) != digest:
            state = f"{'is another file' if found else 'cannot be read'} on the machine {socket.gethostname()}"
            raise DataError(f"{path}: {state}; mount the folder of the recordings at the same path on every machine")


def _fingerprint(path: str) -> str:
    """Return the hash of a file's first bytes, or an empty text if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(PROBE_BYTES)).hexdigest()
    except (OSError, ValueError):
        return ""


def _describe_change(job: Job, wanted: Job) -> str:
    """Describe the recorded job by what differs from the wanted one."""
    old, new = job.task, wanted.task
    changes = {
        "of another command": old.kind != new.kind,
        "of another model": old.model != new.model,
        "of another runtime": old.runtime != new.runtime,
        "of other feature settings": old != new,
        f"of scenelet {job.version}, but this is {wanted.version}": (job.version, job.format)
        != (wanted.version, wanted.format),
        f"in parts of {job.shard_size} inputs, not {wanted.shard_size}": job.shard_size != wanted.shard_size,
        "of other inputs": job.digest != wanted.digest,
        f"of recordings in {job.base}": True,
    }
    return next(words for words, is_changed in changes.items() if is_changed)
