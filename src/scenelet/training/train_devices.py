"""Train a general network and one per recording device: `scenelet train --each-device`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenelet.config import TrainerConfig
from scenelet.data.clips import ClipTable
from scenelet.errors import UsageError
from scenelet.model.device_files import GENERAL
from scenelet.training.device_runs import DeviceRun
from scenelet.training.train import NO_LIMITS, train
from scenelet.training.width_search import NetworkLimits
from scenelet.utils.console import print_message


def train_devices(
    table: ClipTable,
    runs: Sequence[DeviceRun],
    *,
    recipe: str = "",
    resume: bool = False,
    teachers: Sequence[Path] = (),
    limits: NetworkLimits = NO_LIMITS,
    trainer: TrainerConfig | None = None,
) -> dict[str, dict[str, Any]]:
    """Train the runs in their order.

    Args:
        table: the labelled recordings.
        runs: result of `scenelet.training.device_runs.plan_device_runs`.
        recipe, resume, teachers: as for `scenelet.training.train.train`, for each run.
        limits: maximum costs of the network. The general run searches it, and the others have the same network.

        trainer: as for `scenelet.training.train.train`, for runs that keep their settings.

    Returns:
        The content of `metrics.json` of each run, by its name.

    Raises:
        UsageError: there are teachers, and each run has a standardization of its own.
        SceneletError: as `scenelet.training.train.train`. Finished runs stay.
    """
    if teachers and any(run.config and run.config.data.standardize == "device" for run in runs):
        raise UsageError(
            "--teacher has one standardization, and with data.standardize = 'device' each run has its own;"
            " leave one of the two out"
        )
    results = {}
    has_general = runs[0].name == GENERAL
    for number, run in enumerate(runs, 1):
        print_message(f"run {number} of {len(runs)}: {run.name}")
        results[run.name] = train(
            table,
            run.folder,
            run.config,
            recipe=recipe,
            resume=resume,
            teachers=teachers,
            limits=limits if number == 1 or not has_general else NO_LIMITS,
            source=run.source,
            trainer=trainer,
            description=f"Training {run.name}",
        )
    return results
