"""Teachers of a distilled run: finished runs, and files of logits."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenelet.config import DistillationConfig, RunConfig
from scenelet.config import run_folder as runs
from scenelet.errors import RunError, UsageError
from scenelet.nn import model_settings
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.batches import LabelledFeatures
from scenelet.training.dataset import Dataset
from scenelet.training.distillation import Distillation, clip_targets
from scenelet.training.logits_file import read_logits
from scenelet.training.network import load_network
from scenelet.utils.text import pluralize

LOGITS_SUFFIX = ".npz"


@dataclass(frozen=True)
class Teachers:
    """Teachers of a run: what its record stores about each, networks of runs, and logits from files.

    The logits of a file are (training clips, classes).
    """

    records: tuple[runs.TeacherRecord, ...] = ()
    networks: tuple[StandardizedNetwork, ...] = ()
    logits: tuple[NDArray[np.float32], ...] = ()

    def distillation(self, config: DistillationConfig) -> Distillation | None:
        """Return the part of these teachers in the loss; None without teachers."""
        if not self.records:
            return None
        return Distillation(self.networks, config.label_fraction, config.temperature, len(self.logits))

    def teach(self, train: LabelledFeatures, config: DistillationConfig) -> LabelledFeatures:
        """Return the training clips with the answers of the files to each."""
        return replace(train, answers=clip_targets(self.logits, config.temperature)) if self.logits else train


def load_teachers(out: Path, teachers: Sequence[Path], config: RunConfig, dataset: Dataset) -> Teachers:
    """Load the teachers of the run `out`.

    Args:
        out: run folder of the distilled run.
        teachers: run folders, and `.npz` files (see `read_logits`). Empty: those that `out` names if it is resumed.
        config, dataset: settings and data of the distilled run.

    Raises:
        RunError: a teacher's run does not exist, or is not finished.
        UsageError: a teacher has other labels or features, was trained on clips that are held out here, or cannot take
            cropped windows; a file is unsuitable; or the teachers are not those with which the run was started.
    """
    stored = runs.read_record(out).teachers if (out / runs.RECORD).exists() else None
    paths = [*teachers] or [Path(record.path) for record in stored or ()]
    if stored is not None and len(stored) != len(paths):
        before = f"with {pluralize(len(stored), 'teacher')}" if stored else "without a teacher"
        raise UsageError(f"{out}: was started {before}; resume it without --teacher")
    records: list[runs.TeacherRecord] = []
    networks: list[StandardizedNetwork] = []
    logits: list[NDArray[np.float32]] = []
    for path in paths:
        if path.suffix == LOGITS_SUFFIX:
            held_out = [clip.name for clip in (*dataset.split.validation, *dataset.split.test)]
            logits.append(read_logits(path, dataset.train.names, held_out, dataset.labels))
            description = runs.TeacherRecord(path=str(path.resolve()), sha256=_hash(path))
        else:
            record = runs.read_record(path)
            _check_same_task(path, record, config, dataset)
            _check_training_clips(path, dataset)
            networks.append(load_network(path, record))
            description = runs.TeacherRecord(
                path=str(path.resolve()),
                sha256=_hash(path / runs.WEIGHTS),
                recipe=record.recipe,
                network=record.config.network.model_dump(),
            )
        if stored and stored[len(records)].sha256 != description.sha256:
            raise UsageError(
                f"{out}: was started with another teacher than {path} is now; resume it with"
                f" {stored[len(records)].path} as it was then, or train again"
            )
        records.append(description)
    return Teachers(tuple(records), tuple(networks), tuple(logits))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_same_task(path: Path, record: runs.RunRecord, config: RunConfig, dataset: Dataset) -> None:
    """Check that the teacher has the labels and the input of the distilled run."""
    wanted = {"labels": dataset.labels, "features": config.features, "window": config.window}
    found = {"labels": record.labels, "features": record.config.features, "window": record.config.window}
    if "device" in (config.data.standardize, record.config.data.standardize):
        # the input depends on the training clips then
        own = {"data.standardize": config.data.standardize, "settings of the split": config.split}
        teacher = {"data.standardize": record.config.data.standardize, "settings of the split": record.config.split}
        wanted, found = wanted | own, found | teacher
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
