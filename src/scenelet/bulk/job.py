"""A bulk job: what is computed of which inputs, remembered in the folder that its results lie in.

The folder holds `part-00000-FINGERPRINT.parquet` and so on, a file a shard, which is a run of neighbouring inputs, and
`_job/`, which readers of Parquet pass over by its name: `job.json`, `inputs.parquet` with a row group a shard,
`model.scn`, and in the end `errors.csv`. A part that is there is done, so whoever is killed, the rest can go on. Its
name has the fingerprint of model, settings and inputs in it, so that parts of two jobs never mix.
"""

import hashlib
import json
from typing import Literal

from pydantic import Field, ValidationError

from scenelet import __version__
from scenelet.bulk.manifest import Manifest, write_inputs
from scenelet.bulk.storage import Folder
from scenelet.config.frontend import FeatureConfig, Settings, WindowConfig
from scenelet.errors import OutputError
from scenelet.inference.runtimes import RuntimeName

FORMAT = 1  # raise it when the same job no longer gives the same rows
INSIDE = "_job"
RECORD, INPUTS, MODEL, ERRORS = (
    f"{INSIDE}/{name}" for name in ("job.json", "inputs.parquet", "model.scn", "errors.csv")
)
LARGEST_SHARD, FEWEST_SHARDS = 256, 16

Kind = Literal["predict", "features"]


class Task(Settings):
    """What is computed of each input: features alone, or probabilities by a model too."""

    kind: Kind
    features: FeatureConfig
    window: WindowConfig
    labels: tuple[str, ...] = ()
    model: str = ""
    """SHA-256 of the model file; its bytes lie in the job's folder."""
    runtime: RuntimeName = "onnxruntime"


class Job(Settings):
    """`job.json`."""

    task: Task
    base: str
    """The folder or URL that relative inputs begin at."""
    inputs: int = Field(ge=1)
    digest: str
    """Of all inputs, see `scenelet.bulk.manifest.Manifest`."""
    shard_size: int = Field(ge=1)
    """Inputs of a part; the last may have fewer."""
    version: str = __version__
    format: int = FORMAT

    @property
    def fingerprint(self) -> str:
        """Of all that decides what is in the parts."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        """How many."""
        return -(-self.inputs // self.shard_size)

    def part(self, shard: int) -> str:
        """Name of a shard's file."""
        return f"part-{shard:05d}-{self.fingerprint[:12]}.parquet"

    def pending(self, folder: Folder) -> list[int]:
        """Shards that are not done."""
        done = folder.names()
        return [shard for shard in range(self.shards) if self.part(shard) not in done]


def default_shard_size(inputs: int) -> int:
    """Inputs in a part, where nobody says: small jobs are cut for a few processors, large ones into whole files."""
    return min(LARGEST_SHARD, -(-inputs // FEWEST_SHARDS))


def begin(folder: Folder, task: Task, model: bytes, manifest: Manifest, shard_size: int | None) -> Job:
    """Write down a job, or find it again; the record is written last.

    Args:
        folder: of the results.
        task: what is computed.
        model: the model file; empty where there is none.
        manifest: the inputs.
        shard: inputs of a part; None: `default_shard_size`, or what the job began with.

    Raises:
        OutputError: the folder holds the parts of another job, or cannot be written.
        DataError: the manifest has changed meanwhile.
    """
    wanted = Job(
        task=task,
        base=manifest.base,
        inputs=manifest.inputs,
        digest=manifest.digest,
        shard_size=shard_size or default_shard_size(manifest.inputs),
    )
    if folder.exists(RECORD):
        job = read_job(folder)
        if shard_size is None:
            wanted = wanted.model_copy(update={"shard_size": job.shard_size})
        if wanted == job:
            return job
        if any(name.startswith("part-") for name in folder.names()):
            raise OutputError(f"{folder.place}: holds results {_difference(job, wanted)}; choose another folder")
        folder.remove(RECORD)  # or, killed below, it would stand beside another job's inputs
    if model:
        folder.write(MODEL, model)
    with folder.writing(INPUTS) as path:
        write_inputs(manifest, path, wanted.shard_size)
    folder.write(RECORD, wanted.model_dump_json(indent=2) + "\n")
    return wanted


def check_owned(folder: Folder) -> None:
    """Check that nothing but a job is in the folder.

    Raises:
        OutputError: there are other files.
    """
    names = folder.names()
    others = sorted(name for name in names - {INSIDE} if not name.startswith("."))
    if others and INSIDE not in names:
        raise OutputError(f"{folder.place}: holds other files ({others[0]}); choose an empty folder")


def read_job(folder: Folder) -> Job:
    """Read `job.json`.

    Raises:
        OutputError: it cannot be read, or is damaged.
    """
    try:
        return Job.model_validate_json(folder.read(RECORD))
    except ValidationError:
        raise OutputError(f"{folder.at(RECORD)}: damaged, or of another version; choose another folder") from None


def _difference(job: Job, wanted: Job) -> str:
    """Why the two are not one, in a few words."""
    for name, words in (
        ("kind", "of another command"),
        ("model", "of another model"),
        ("runtime", "of another runtime"),
    ):
        if getattr(job.task, name) != getattr(wanted.task, name):
            return words
    if job.task != wanted.task:
        return "of other feature settings"
    if job.version != wanted.version or job.format != wanted.format:
        return f"by scenelet {job.version}, and this is {wanted.version}"
    if job.shard_size != wanted.shard_size:
        return f"in parts of {job.shard_size} inputs, not {wanted.shard_size}"
    return "of other inputs" if job.digest != wanted.digest else f"of recordings in {job.base}"
