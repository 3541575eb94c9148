"""Runs that `compress` reads and what it writes for each. Nothing here needs PyTorch."""

from pathlib import Path

from scenelet.config.run_folder import is_begun, is_finished, read_record
from scenelet.errors import RunError, UsageError
from scenelet.model.device_files import GENERAL, SUFFIX, check_devices, is_device_folder
from scenelet.training.preflight import check_compress_arguments, check_device_folder


def compression_targets(run: Path, out: Path) -> dict[Path, Path]:
    """Return the run folders to compress, and the `out` of each.

    Args:
        run: a run folder, or a folder of run folders as `train --each-device` writes it.
        out: the model file; for several runs, and for a run with `data.standardize` = "device", a folder.

    Raises:
        UsageError: `out` is not the name that fits.
        RunError: there is no run, one is not finished, there is no general one, or their labels differ.
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
    if GENERAL not in names and not is_device_folder(out):
        raise RunError(
            f"{run}: holds no run named {GENERAL}; compress the run or copy the model that these runs started from to"
            f" {out / f'{GENERAL}{SUFFIX}'} first"
        )
    check_device_folder(out, [*names, GENERAL])
    labels = {path: read_record(path).labels for path in runs}
    for path in runs:
        if labels[path] != labels[runs[0]]:
            raise RunError(f"{path}: its labels are not those of {runs[0]}; give runs on the same classes")
    return {path: out / f"{path.name}{SUFFIX}" for path in runs}
