"""Checks of arguments before PyTorch is loaded, which takes seconds, and of the data of a run."""

import os
from collections.abc import Iterable
from pathlib import Path

from scenelet.config import RunConfig
from scenelet.config.run_folder import DataRecord, check_run_exists, read_record, read_statistics
from scenelet.data.clips import ClipTable
from scenelet.data.load import load_table
from scenelet.errors import DataError, UsageError
from scenelet.model.device_files import GENERAL, SUFFIX, check_devices
from scenelet.training.ranks import Rank, find_rank


def check_batch_size(config: RunConfig) -> Rank:
    """Check that each device gets clips of every batch, and return the rank of this process.

    Raises:
        UsageError: there are more devices than clips in a batch, or as `scenelet.training.ranks.find_rank`.
    """
    trainer, batch = config.trainer, config.schedule.batch_size
    if trainer.world_size > batch:
        raise UsageError(
            f"trainer.devices x trainer.num_nodes is {trainer.world_size}, and schedule.batch_size {batch} leaves some"
            " without a clip; raise it, or use fewer devices"
        )
    return find_rank(trainer.devices, trainer.num_nodes)


def check_one_device(config: RunConfig, caller: str) -> None:
    """Check that the settings ask for one device; `caller` names what cannot use several.

    Raises:
        UsageError: the settings ask for several devices.
    """
    if config.trainer.world_size > 1:
        raise UsageError(
            f"{caller} trains on one device, and trainer.devices x trainer.num_nodes is {config.trainer.world_size};"
            " set both to 1, or use `scenelet train`"
        )


def check_compress_arguments(run: Path, out: Path) -> None:
    """Check the arguments of `compress`.

    Raises:
        UsageError: `out` is neither the name of a model file nor, for a run with a model per device, a new folder.
        RunError: the run does not exist, or is damaged.
        DataError: a device with a model of its own has a name that no file can have.
    """
    check_run_exists(run)
    if out.suffix != SUFFIX:
        if (record := read_record(run)).config.data.standardize == "device":
            devices = read_statistics(run).devices
            check_devices(devices, str(record.data.path))
            check_device_folder(out, [GENERAL, *devices])
            return
        raise UsageError(f"{out}: a model file's name ends in .scn")
    if out.is_dir():
        raise UsageError(f"{out}: is a folder; give the name of the file to write")


def check_device_folder(out: Path, names: Iterable[str]) -> None:
    """Check that a folder holds no other models than those that are written.

    A model of another training would answer for its device.

    Raises:
        UsageError: there is another model, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; give a folder as --out, or NAME{SUFFIX}")
    known = {f"{name}{SUFFIX}" for name in names}
    others = sorted(path for path in out.glob(f"*{SUFFIX}") if path.name not in known)
    if others:
        raise UsageError(f"{others[0]}: is not a model of these devices; delete it, or give another folder as --out")


def load_recorded_table(
    record: DataRecord, path: str | os.PathLike[str] | None = None, audio_dir: Path | None = None
) -> ClipTable:
    """Load the clip table that a run was trained on.

    Args:
        record: the recorded data.
        path: new path of the data, if it has moved.
        audio_dir: new folder of the recordings that a CSV lists, if they have moved.

    Raises:
        DataError: the data is not where the record says.
        SceneletError: as `scenelet.data.load.load_table`.
    """
    if path is not None:
        return load_table(path, audio_dir, record.tau_3_class, multi_label=record.multi_label)
    folder = record.audio_dir if audio_dir is None else audio_dir
    for missing in (record.path, *([] if folder is None else [folder])):
        if not missing.exists():
            raise DataError(
                f"{missing}: the recordings of this run were there, and are not now; give their new path with --data"
                " (and --audio-dir)"
            )
    return load_table(record.path, folder, record.tau_3_class, multi_label=record.multi_label)
