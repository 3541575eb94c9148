"""A training whose numbers are no longer finite: which batch did it, as an error and as a file of the run folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scenelet.errors import RunError
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.text import first_few

FILE = "diverged.json"


@dataclass(frozen=True)
class Divergence:
    """Where a training diverged.

    Attributes:
        epoch, batch: both from 1.
        batches: how many the epoch has.
        rate: the learning rate of the batch's step.
        losses: of the epoch's batches before it, finite all.
        clips: the names of the batch's clips.
    """

    epoch: int
    batch: int
    batches: int
    rate: float
    losses: tuple[float, ...]
    clips: tuple[str, ...]


class DivergedError(RunError):
    """Loss or weights are not finite; `divergence` says since when."""

    def __init__(self, divergence: Divergence) -> None:
        where = f"epoch {divergence.epoch}, batch {divergence.batch} of {divergence.batches}"
        clips = f" with {first_few(divergence.clips)}" if divergence.clips else ""
        super().__init__(
            f"{where}: training diverged{clips}; lower schedule.learning_rate, or in fine-tuning prune.learning_rate, and listen to these"
            " clips if it does so again"
        )
        self.divergence = divergence


def write(folder: Path, divergence: Divergence) -> Path:
    """Write what is known into the folder of the run; returns the file's path.

    Raises:
        OutputError: it cannot be written.
    """
    make_folder(folder)
    path = folder / FILE
    replace_file(path, json.dumps(asdict(divergence), indent=2) + "\n")
    return path
