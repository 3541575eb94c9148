"""Runs of `train --each-device`: a general one, and one per recording device that starts from it.

Nothing here needs PyTorch.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from scenelet.config import RunConfig
from scenelet.config.run_folder import RunRecord, check_folder_is_new, is_begun, read_record
from scenelet.data.background import add_background
from scenelet.data.clips import ClipTable
from scenelet.data.device_bands import missing_labels
from scenelet.data.splits import make_split
from scenelet.errors import DataError, RunError, UsageError
from scenelet.model.device_files import GENERAL, check_devices
from scenelet.training.preflight import check_one_device
from scenelet.utils.console import print_message
from scenelet.utils.text import first_few

OPTION = "--each-device"


@dataclass(frozen=True)
class DeviceRun:
    """One run of several.

    Attributes:
        name: the recording device, or "general".
        folder: the run folder.
        config: the settings; None: those that the run was started with.
        source: model or run whose weights it starts from; None: random ones.
    """

    name: str
    folder: Path
    config: RunConfig | None
    source: str | os.PathLike[str] | None


def begun_runs(out: Path) -> dict[str, RunRecord]:
    """Return the records of the runs that `train --each-device` has begun in a folder, the general one first.

    Raises:
        RunError: a record is damaged.
    """
    folders = sorted(filter(is_begun, out.iterdir())) if out.is_dir() and not is_begun(out) else []
    found = {folder.name: read_record(folder) for folder in sorted(folders, key=lambda path: path.name != GENERAL)}
    return {
        name: record
        for name, record in found.items()
        if record.config.split.device == (None if name == GENERAL else name)
    }


def plan_device_runs(
    table: ClipTable,
    config: RunConfig,
    out: Path,
    source: str | None,
    has_general: bool,
    resume: bool,
    keeps_settings: bool = False,
) -> list[DeviceRun]:
    """Return the runs to train, the general one first, and print which devices have none.

    Every recording device of a training clip gets a run, if it has training clips of each class.

    Args:
        table: the labelled recordings.
        config: settings of the general run. Those of the others have fewer epochs and a lower learning rate, see
            `scenelet.config.TransferConfig`.
        out: folder of the run folders.
        source: weights that the first run starts from; None: random ones.
        has_general: train a general run; False: `source` is the general model.
        resume: continue with runs in `out`. Without `source`, they keep the one that they started from.
        keeps_settings: the runs in `out` keep their settings, and the others get the same, but for the devices to
            train on, which are those of `config.trainer`.

    Raises:
        UsageError: the settings choose one device, or ask for several GPUs, or `source` would replace a general run.
        DataError: no device has training clips of each class, the name of one cannot be a file's, or the clips of one
            cannot be split.
        RunError: `out` holds something else.
    """
    check_one_device(config, f"train {OPTION}")
    if config.split.device is not None:
        raise UsageError(f"{OPTION} trains on each device, and split.device is {config.split.device!r}; leave one out")
    if is_begun(out):
        raise RunError(f"{out}: holds a run, and {OPTION} needs a folder for several; choose another --out")
    begun = begun_runs(out) if resume else {}
    if GENERAL in begun and not has_general:
        raise UsageError(f"{out / GENERAL}: is the general run, which --from would replace; resume it without --from")
    if begun and GENERAL not in begun:  # they were started from a general model
        record = next(iter(begun.values())).source
        source, has_general = source or (record.path if record else None), False
    kept = next(iter(begun.values())).config if begun and keeps_settings else None
    if kept is not None:
        trainer = kept.trainer.model_copy(update=config.trainer.model_dump(exclude_unset=True))
        all_devices = kept.split.model_copy(update={"device": None})
        config = kept.model_copy(update={"trainer": trainer, "split": all_devices})
    table = add_background(table, config.data)
    devices = _devices(table, config)
    general = DeviceRun(GENERAL, out / GENERAL, None if kept else config, None if GENERAL in begun else source)
    runs = [general] if has_general else []
    start = out / GENERAL if has_general else source
    for device in devices:
        own = device_config(config, device)
        if kept is not None and GENERAL not in begun:  # the settings are those of a device's run
            own = config.model_copy(update={"split": config.split.model_copy(update={"device": device})})
        split = make_split(table, own.split)
        if own.checkpoint == "validation" and not split.validation:
            raise DataError(
                f"{table.path or table.root}: no validation clip is of device {device!r}, and checkpoint = 'validation'"
                " needs some; raise split.validation_fraction, or set checkpoint = 'last'"
            )
        runs.append(DeviceRun(device, out / device, None if kept and device in begun else own, start))
    if not begun:
        # the first run may have been interrupted before it wrote its record; `train` checks its folder
        check_folder_is_new(out, ignore=runs[0].folder if resume else None)
    return runs


def device_config(config: RunConfig, device: str) -> RunConfig:
    """Return the settings of a device's run.

    >>> own = device_config(RunConfig(), "s1")
    >>> own.split.device, own.schedule.epochs, round(own.schedule.learning_rate, 6)
    ('s1', 20, 0.0001)
    """
    transfer, schedule = config.transfer, config.schedule
    rate = transfer.device_rate * schedule.learning_rate
    changes = {
        "epochs": max(1, round(transfer.device_epochs * schedule.epochs)),
        "hold_epochs": round(transfer.device_epochs * schedule.hold_epochs),
        "decay_epochs": max(1, round(transfer.device_epochs * schedule.decay_epochs)),
        "learning_rate": rate,
        "min_learning_rate": min(schedule.min_learning_rate, rate),
    }
    split = config.split.model_copy(update={"device": device})
    return config.model_copy(update={"split": split, "schedule": schedule.model_copy(update=changes)})


def _devices(table: ClipTable, config: RunConfig) -> list[str]:
    """Return the devices of the training clips that have a clip of each class, and print which have not."""
    train = make_split(table, config.split).train
    added = {clip.label for clip in table.background_clips}  # every run gets these
    missing = missing_labels(train, set(table.labels) - added)
    check_devices(missing, str(table.path or table.root))
    for device in table.devices:
        if missing.get(device) != []:
            lacking = f" of {first_few(missing[device])}" if device in missing else ""
            print_message(
                f"device {device}: no run of its own, since it has no training clip{lacking}; the general model answers"
                " for it"
            )
    if not (complete := [device for device, labels in missing.items() if not labels]):
        raise DataError(
            f"{table.path or table.root}: no recording device has training clips of each class; add a column device to"
            f" the table, or leave {OPTION} out"
        )
    return complete
