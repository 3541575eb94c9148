"""Runs that `compress` reads and what it writes for each. Nothing here needs PyTorch."""

from pathlib import Path

from scenelet.config.run_folder import is_begun, is_finished, read_record
from scenelet.errors import ModelFileError, RunError, UsageError
from scenelet.model.device_files import GENERAL, SUFFIX, check_devices
from scenelet.model.file import read_model
from scenelet.training.preflight import check_compress_arguments, check_device_folder


def compression_targets(run: Path, out: Path) -> dict[Path, Path]:
    """Return the run folders to compress, and the `out` of each.

    Args:
        run: a run folder, or a folder of run folders as `train --each-device` writes it.
        out: the model file; for several runs, and for a run with `data.standardize` = "device", a folder.

    Raises:
        UsageError: `out` is not the name that fits.
        RunError: there is no run, one is not finished, there is no general one, or their labels differ.
        ModelFileError: the general model in `out` is damaged, or its classes or input are not those of the runs.
    """
    runs = [] if is_begun(run) or not run.is_dir() else sorted(filter(is_begun, run.iterdir()))
    if not runs:
        check_compress_arguments(run, out)
        return {run: out}
    if out.suffix == SUFFIX:
        raise UsageError(f"{out}: {run} holds {len(runs)} runs; give a folder for their model files as --out")
    for path in runs:
        if not is_finished(path):
            raise RunError(f"{path}: this run has not finished; resume it with `scenelet train ... --resume`")
    names = [path.name for path in runs]
    check_devices((name for name in names if name != GENERAL), str(run))
    general = out / f"{GENERAL}{SUFFIX}"
    if GENERAL not in names and not general.is_file():
        raise RunError(
            f"{run}: holds no run named {GENERAL}; compress the run or copy the model that these runs started from to"
            f" {general} first"
        )
    check_device_folder(out, [*names, GENERAL])
    records = {path: read_record(path) for path in runs}
    for path, record in records.items():
        if record.labels != records[runs[0]].labels:
            raise RunError(f"{path}: its labels are not those of {runs[0]}; give runs on the same classes")
        if record.config.split.device != (None if path.name == GENERAL else path.name):
            raise RunError(f"{path}: is not a run of `train --each-device`; move it to another folder")
    if GENERAL not in names:
        _check_general(general, runs[0])
    return {path: out / f"{path.name}{SUFFIX}" for path in runs}


def _check_general(file: Path, run: Path) -> None:
    """Check that a model can answer next to the models of runs that started from it."""
    model, record = read_model(file), read_record(run)
    wanted = {"classes": record.labels, "features": record.config.features, "windows": record.config.window}
    found = {"classes": model.labels, "features": model.features, "windows": model.window}
    for name, value in wanted.items():
        if found[name] != value:
            raise ModelFileError(
                f"{file}: its {name} are not those of {run}; put the model there that the runs started from"
            )
