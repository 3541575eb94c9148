"""Divergence: a training whose numbers are no longer finite, as an error and as a file of the run folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scenelet.errors import RunError
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.text import first_few

DIVERGENCE_FILE = "diverged.json"


@dataclass(frozen=True)
class Divergence:
    """Batch in which a training diverged.

    Attributes:
        epoch, batch: numbers of the epoch and of the batch, from 1.
        batches: number of batches of the epoch.
        rate: learning rate of the batch's step.
        losses: losses of the earlier batches of the epoch; all are finite.
        clips: names of the clips of the batch.
    """

    epoch: int
    batch: int
    batches: int
    rate: float
    losses: tuple[float, ...]
    clips: tuple[str, ...]


class DivergedError(RunError):
    """Error of a training whose loss or weights are not finite. `divergence` names the batch."""

    def __init__(self, divergence: Divergence) -> None:
        location = f"epoch {divergence.epoch}, batch {divergence.batch} of {divergence.batches}"
        clips = f" with {first_few(divergence.clips)}" if divergence.clips else ""
        super().__init__(
            f"{location}: training diverged{clips}; lower schedule.learning_rate (prune.learning_rate in fine-tuning);"
            " if it diverges again, check these clips"
        )
        self.divergence = divergence


def write_divergence(folder: Path, divergence: Divergence) -> Path:
    """Write `diverged.json` into a run folder and return its path.

    Raises:
        OutputError: the file cannot be written.
    """
    make_folder(folder)
    path = folder / DIVERGENCE_FILE
    replace_file(path, json.dumps(asdict(divergence), indent=2) + "\n")
    return path
