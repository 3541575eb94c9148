"""Teacher of a distilled run: a finished run whose network's probabilities are mixed into the labels."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenelet.config import RunConfig
from scenelet.config import run_folder as runs
from scenelet.errors import RunError, UsageError
from scenelet.nn import model_settings
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.dataset import Dataset
from scenelet.training.network import load_network


@dataclass(frozen=True)
class Teacher:
    """Network of a teacher, and what the distilled run stores about it in its run record."""

    network: StandardizedNetwork
    record: dict[str, Any]


def load_teacher(out: Path, teacher: Path | None, config: RunConfig, dataset: Dataset) -> Teacher | None:
    """Load the teacher of the run `out`, or return None if the run has none.

    Args:
        out: run folder of the distilled run.
        teacher: run folder of the teacher; None: the teacher that `out` names if it is resumed.
        config, dataset: settings and data of the distilled run.

    Raises:
        RunError: the teacher's run does not exist, or is not finished.
        UsageError: the teacher has other labels or features, was trained on clips that are held out here, cannot take
            cropped windows, or is not the one with which the run was started.
    """
    resumed = (out / runs.RECORD).exists()
    stored = runs.read_record(out).teacher if resumed else None
    path = teacher if teacher is not None else None if stored is None else Path(stored["run"])
    if path is None:
        return None
    if resumed and stored is None:
        raise UsageError(f"{out}: was started without a teacher; resume it without --teacher")
    record = runs.read_record(path)
    _check_same_task(path, record, config, dataset)
    _check_training_clips(path, dataset)
    network = load_network(path, record)
    weights = hashlib.sha256((path / runs.WEIGHTS).read_bytes()).hexdigest()
    if stored is not None and stored.get("weights", weights) != weights:
        raise UsageError(
            f"{out}: was started with another teacher than {path} is now; resume it with {stored['run']} as it was"
            " then, or train again"
        )
    description = {
        "run": str(path.resolve()),
        "recipe": record.recipe,
        "network": record.config.network.model_dump(),
        "weights": weights,
    }
    return Teacher(network.eval(), description)


def _check_same_task(path: Path, record: runs.RunRecord, config: RunConfig, dataset: Dataset) -> None:
    """Check that the teacher has the labels and the input of the distilled run."""
    wanted = {"labels": dataset.labels, "features": config.features, "window": config.window}
    found = {"labels": record.labels, "features": record.config.features, "window": record.config.window}
    for name in wanted:
        if wanted[name] != found[name]:
            raise UsageError(
                f"--teacher {path}: it was trained with different {name}; give a teacher with the same {name}"
            )
    if config.augment.crop_frames and "frames" in model_settings(record.config.network.name):
        raise UsageError(
            f"--teacher {path}: its network {record.config.network.name} takes complete windows only, and"
            " augment.crop_frames crops them; set augment.crop_frames to 0"
        )


def _check_training_clips(path: Path, dataset: Dataset) -> None:
    """Check that the teacher was trained on the same data, without the clips that are held out here."""
    trained_on = _training_clips(path)
    if not trained_on & {clip.name for clip in dataset.split.train}:
        raise UsageError(
            f"--teacher {path}: its clips have other names than these, so it may have been trained on clips that are"
            " held out here; give a teacher that was trained on the same data"
        )
    leaked = trained_on & {clip.name for clip in (*dataset.split.validation, *dataset.split.test)}
    if leaked:
        raise UsageError(
            f"--teacher {path}: it was trained on {len(leaked)} clips that are held out here ({min(leaked)}), which"
            " would leak into the test; give a teacher with the same split"
        )


def _training_clips(run: Path) -> set[str]:
    """Read the names of the clips that a run was trained on."""
    path = run / runs.SPLIT
    if not path.is_file():
        raise RunError(f"{run}: its {runs.SPLIT}, which lists its training clips, is missing; train it again")
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if not {"filename", "split"} <= set(rows.fieldnames or ()):
                raise RunError(f"{path}: damaged, it has no columns filename and split; train the run again")
            return {row["filename"] for row in rows if row["split"] == "train"}
    except csv.Error as error:
        raise RunError(f"{path}: damaged ({error}); train the run again") from None
