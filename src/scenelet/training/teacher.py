"""A finished run whose network teaches another one what it says of each clip."""

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
    """The network, and what the taught run remembers of it."""

    network: StandardizedNetwork
    record: dict[str, Any]


def load_teacher(out: Path, teacher: Path | None, config: RunConfig, dataset: Dataset) -> Teacher | None:
    """The teacher of the run `out`: the run folder `teacher`, or the one that a begun run names, or none.

    Raises:
        RunError: no such run, or one that is not finished.
        UsageError: it learnt other labels, from other features, or from clips that are held out here; it cannot hear
            what is cut out of windows here; or it is not the one with which the run was begun.
    """
    resumed = (out / runs.RECORD).exists()
    begun = runs.read_record(out).teacher if resumed else None
    path = teacher if teacher is not None else None if begun is None else Path(begun["run"])
    if path is None:
        return None
    if resumed and begun is None:
        raise UsageError(f"{out}: was begun with no teacher; resume it without --teacher")
    record = runs.read_record(path)
    for what, own, its in (
        ("labels", dataset.labels, record.labels),
        ("features", config.features, record.config.features),
        ("window", config.window, record.config.window),
    ):
        if own != its:
            raise UsageError(f"--teacher {path}: it has other {what} than this run; give one with the same")
    if config.augment.crop_frames and "frames" in model_settings(record.config.network.name):
        raise UsageError(
            f"--teacher {path}: its network {record.config.network.name} takes whole windows only, and augment.crop_frames cuts"
            " them; set augment.crop_frames to 0"
        )
    learnt_from = _trained_on(path)
    if not learnt_from & {clip.name for clip in dataset.split.train}:
        raise UsageError(
            f"--teacher {path}: its clips have other names than these, so that it may have learnt from what is held out"
            " here; give one that was trained on the same data"
        )
    heard = learnt_from & {clip.name for clip in (*dataset.split.validation, *dataset.split.test)}
    if heard:
        raise UsageError(
            f"--teacher {path}: it learnt from {len(heard)} clips that are held out here ({min(heard)}), and would tell"
            " what it heard; give one with the same split"
        )
    network = load_network(path, record)
    weights = hashlib.sha256((path / runs.WEIGHTS).read_bytes()).hexdigest()
    if begun is not None and begun.get("weights", weights) != weights:
        raise UsageError(
            f"{out}: was begun with another teacher than {path} is now; resume it with the one of {begun['run']} as it"
            " was then, or begin it again"
        )
    known_as = {
        "run": str(path.resolve()),
        "recipe": record.recipe,
        "network": record.config.network.model_dump(),
        "weights": weights,
    }
    return Teacher(network.eval(), known_as)


def _trained_on(run: Path) -> set[str]:
    """Names of the clips that a run learnt from."""
    if not (run / runs.SPLIT).is_file():
        raise RunError(f"{run}: its {runs.SPLIT} is missing, which says what it learnt from; train it again")
    with (run / runs.SPLIT).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.DictReader(file)
        try:
            if not {"filename", "split"} <= set(rows.fieldnames or ()):
                raise RunError(
                    f"{run / runs.SPLIT}: damaged, it has no columns filename and split; train the run again"
                )
            return {row["filename"] for row in rows if row["split"] == "train"}
        except csv.Error as error:
            raise RunError(f"{run / runs.SPLIT}: damaged ({error}); train the run again") from None
