"""Files of a run folder, and the records in them. Nothing here needs PyTorch.

run.json         settings, seed, versions, data, labels
split.csv        the subset of each clip: train, validation or test
checkpoints/     the last finished epoch (and the best one)
logs/            CSV and TensorBoard
model.pt         the final weights; they exist once training has finished
warnings.json    findings of `scenelet check` on the recordings; not written with --quiet
metrics.json     results on the validation and test subsets
curves.png       loss, learning rate and validation accuracy by epoch
devices.json     means and deviations of the mel bands by device, if `data.standardize` is "device"
diverged.json    the batch at which training diverged
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from scenelet import __version__
from scenelet.config.frontend import Settings
from scenelet.config.settings import RunConfig
from scenelet.errors import RunError
from scenelet.utils.files import make_folder, replace_file, replace_files

WARNINGS = "warnings.json"
RECORD, SPLIT, WEIGHTS, METRICS, CURVES = "run.json", "split.csv", "model.pt", "metrics.json", "curves.png"
DEVICES = "devices.json"
RESUME_HINT = "choose another --out, or resume the run with --resume"


class DataRecord(Settings):
    """Location of a run's recordings, and the description of what was found there."""

    path: Path
    audio_dir: Path | None = None
    tau_3_class: bool = False
    multi_label: Literal["refuse", "skip", "first"] = "refuse"
    description: str = ""
    synthetic: bool = False
    license: str = ""


class TeacherRecord(Settings):
    """Teacher of a distilled run.

    Attributes:
        path: run folder, or `.npz` file of logits.
        sha256: hash of the run's weights, or of the file.
        recipe, network: recipe and network of the run; empty for a file.
    """

    path: str
    sha256: str
    recipe: str = ""
    network: dict[str, Any] = Field({})


class SourceRecord(Settings):
    """Trained weights that a run starts from.

    Attributes:
        path: model file or run folder, or the name of a built-in model.
        sha256: hash of the model file, or of the run's weights.
        labels: its classes.
        licenses: the licenses of its training recordings.
    """

    path: str
    sha256: str
    labels: tuple[str, ...]
    licenses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the file, run folder or built-in model."""
        return Path(self.path).name


class BandStatistics(Settings):
    """Mean and standard deviation of each mel band, dB."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class DeviceStatistics(Settings):
    """Content of `devices.json`: statistics of the training clips of all devices together, and of each device."""

    all: BandStatistics
    devices: dict[str, BandStatistics]

    @model_validator(mode="after")
    def _consistent(self) -> "DeviceStatistics":
        bands = len(self.all.mean)
        for each in (self.all, *self.devices.values()):
            if len(each.mean) != bands or len(each.std) != bands or min(each.std, default=0) <= 0:
                raise ValueError("the statistics do not fit together")
        return self


class RunRecord(Settings):
    """Content of `run.json`.

    Attributes:
        config: the settings of the run.
        recipe: name of the recipe that the settings came from.
        data: the recordings.
        labels: the classes, sorted.
        train_counts: training clips of each class, in the order of `labels`.
        versions: see `versions`; also "precision" (fp32, bf16 or fp16) and "device" of the training.
        teachers: the teachers that this run is distilled from.
        source: the trained weights that this run starts from; None: it starts from random ones.
    """

    config: RunConfig
    recipe: str
    data: DataRecord
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    versions: dict[str, str]
    teachers: tuple[TeacherRecord, ...] = ()
    source: SourceRecord | None = None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    packages = {name: version(name) for name in ("torch", "lightning", "numpy", "scipy", "soxr", "soundfile")}
    return {"scenelet": __version__, "python": platform.python_version(), **packages}


def is_begun(folder: Path) -> bool:
    """Return whether the folder holds a run, finished or not."""
    return (folder / RECORD).is_file()


def is_finished(folder: Path) -> bool:
    """Return whether the folder holds a run whose training is finished."""
    return (folder / METRICS).is_file() and (folder / WEIGHTS).is_file()


def check_run_exists(folder: Path) -> None:
    """Check that the folder holds a run.

    Raises:
        RunError: there is no run.
    """
    if not is_begun(folder):
        raise RunError(f"{folder}: not a run folder (no {RECORD}); give the --out folder of `scenelet train`")


def check_folder_is_new(folder: Path, hint: str = "choose another --out", ignore: Path | None = None) -> None:
    """Check that a new run can start in the folder.

    Hidden files do not count. A `split.csv` without a run does not count either: an interrupted start leaves no more.

    Args:
        folder: the run folder.
        hint: the fix that the error message names.
        ignore: a file that may lie in the folder, such as the user's CSV.

    Raises:
        RunError: the folder holds something else.
    """
    ignored = [folder / SPLIT] if folder.is_dir() and not is_begun(folder) else []
    ignored += [] if ignore is None else [ignore.resolve()]

    def counts(path: Path) -> bool:
        return not path.name.startswith(".") and path not in ignored and path.resolve() not in ignored

    if folder.exists() and (not folder.is_dir() or any(map(counts, folder.iterdir()))):
        raise RunError(f"{folder}: exists already; {hint}")


def write_record(folder: Path, record: RunRecord, split_csv: str) -> None:
    """Start a run folder: write `split.csv`, then `run.json`.

    Raises:
        RunError: the folder holds a different `split.csv`.
        OutputError: the files cannot be written.
    """
    make_folder(folder)
    path = folder / SPLIT
    if path.exists() and path.read_bytes() != split_csv.encode(errors="surrogateescape"):
        raise RunError(f"{path}: exists without a run and lists another split; delete it, or choose another --out")
    replace_files({path: split_csv, folder / RECORD: record.model_dump_json(indent=2) + "\n"})


def read_record(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        RunError: the folder is not a run, or its record is damaged.
    """
    check_run_exists(folder)
    path = folder / RECORD
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path}: damaged ({error.errors()[0]['msg']}); train again into a new folder") from None


def write_statistics(folder: Path, statistics: DeviceStatistics) -> None:
    """Write `devices.json`."""
    replace_file(folder / DEVICES, statistics.model_dump_json(indent=2) + "\n")


def read_statistics(folder: Path) -> DeviceStatistics:
    """Read `devices.json`.

    Raises:
        RunError: the file is missing or damaged.
    """
    path = folder / DEVICES
    try:
        return DeviceStatistics.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise RunError(f"{path}: missing or damaged; train again into a new folder") from None


def check_same_split(folder: Path, split_csv: str, data: Path) -> None:
    """Check that the recordings still give the split that `split.csv` lists.

    Without this check, a changed data set would move clips between the subsets silently.

    Raises:
        RunError: recordings were added, removed, renamed or relabelled since the run started.
    """
    path = folder / SPLIT
    if not path.is_file() or path.read_bytes() != split_csv.encode(errors="surrogateescape"):
        raise RunError(f"{folder}: the recordings in {data} are not those that {SPLIT} lists; put them back")


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write `metrics.json`."""
    replace_file(folder / METRICS, json.dumps(metrics, indent=2) + "\n")


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read `metrics.json` of a finished run.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / METRICS
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())
        float(metrics["minutes"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise RunError(f"{path}: damaged; delete the folder {folder} and train again") from None
    return metrics
