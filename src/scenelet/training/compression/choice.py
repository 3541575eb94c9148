"""Stored choice of a number format, so that an interrupted compression does not search again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from scenelet.config import PruneConfig
from scenelet.errors import RunError
from scenelet.nn.quantize import WeightFormat
from scenelet.utils.files import make_folder, replace_file

CHOICE = "choice.json"


@dataclass(frozen=True)
class FormatTrial:
    """Trial of a number format: pruned to the sparsity that fits, and fine-tuned for a few epochs.

    Attributes:
        dtype: the number format.
        sparsity: the smallest sparsity whose file fits.
        log_loss: log loss on validation clips; None if there was only one format, infinite if fine-tuning diverged.
        minutes: duration of the fine-tuning.
    """

    dtype: WeightFormat
    sparsity: float
    log_loss: float | None
    minutes: float


def load_choice(folder: Path | None) -> tuple[PruneConfig, tuple[FormatTrial, ...]] | None:
    """Load the choice of an interrupted compression, or return None if no choice was saved.

    Raises:
        RunError: the file is damaged.
    """
    if folder is None or not (folder / CHOICE).is_file():
        return None
    try:
        choice = json.loads((folder / CHOICE).read_bytes())
        trials = TypeAdapter(tuple[FormatTrial, ...]).validate_python(choice["trials"])
        return PruneConfig.model_validate(choice["settings"]), trials
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{folder / CHOICE}: damaged; delete it, and the search is repeated") from None


def save_choice(folder: Path, settings: PruneConfig, trials: tuple[FormatTrial, ...]) -> None:
    """Save the choice for `load_choice`."""
    make_folder(folder)
    choice = {"settings": settings.model_dump(), "trials": [asdict(trial) for trial in trials]}
    replace_file(folder / CHOICE, json.dumps(choice) + "\n")
