"""Names of the model files of a folder with one model per recording device: `general.scn` and `DEVICE.scn`."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from scenelet.errors import DataError, ModelFileError, UsageError
from scenelet.model.pretrained import built_in

GENERAL = "general"
"""Name of the model that answers for every device without a model of its own."""
UNKNOWN = "unknown"
"""Name of a recording device that is not known, as data sets write it."""
SUFFIX = ".scn"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_device(device: str) -> str:
    """Return the name of a recording device if a file may have it.

    Raises:
        UsageError: the name has other characters than letters, digits, `-`, `_` and `.`, or a meaning of its own.

    >>> check_device("s1")
    's1'
    """
    if _SAFE.fullmatch(device) is None or device.endswith("."):
        raise UsageError(
            f"device {device!r} cannot name a file; use at most 100 letters, digits, '-', '_' and '.', with a letter or"
            " digit first"
        )
    if device.lower() in (GENERAL, UNKNOWN):
        raise UsageError(f"device {device!r}: this name means the model of all devices; give the device another name")
    return device


def check_devices(devices: Iterable[str], source: str) -> None:
    """Check that each device can have a file of its own.

    Args:
        devices: the names.
        source: what names them, for error messages.

    Raises:
        DataError: as `check_device`, or two names differ only in case, which some file systems do not tell apart.

    >>> check_devices(["a", "s1"], "meta.csv")
    """
    known: dict[str, str] = {}
    for device in devices:
        try:
            check_device(device)
        except UsageError as error:
            raise DataError(f"{source}: {error}") from None
        if (other := known.setdefault(device.lower(), device)) != device:
            raise DataError(f"{source}: devices {other!r} and {device!r} differ only in case; rename one")


def is_device_folder(model: str | os.PathLike[str]) -> bool:
    """Return whether the argument of a command is a folder of model files. A built-in model takes precedence.

    The general model may be missing. `device_files` then says so.

    >>> is_device_folder("esc10")
    False
    """
    return built_in(os.fspath(model)) is None and any(map(_is_shown, Path(model).glob(f"*{SUFFIX}")))


def device_files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder's models by device, the general one first.

    Raises:
        ModelFileError: there is no general model, or the name of a file is no device's.
    """
    general = folder / f"{GENERAL}{SUFFIX}"
    if not general.is_file():
        raise ModelFileError(
            f"{folder}: holds no {general.name}, which answers for devices without a model of their own; give a"
            " folder of `scenelet compress RUNS --out FOLDER`"
        )
    files = sorted(path for path in folder.glob(f"*{SUFFIX}") if path != general and _is_shown(path))
    try:
        check_devices((path.stem for path in files), str(folder))
    except DataError as error:
        raise ModelFileError(f"{error}; or move its {SUFFIX} file to another folder") from None
    return {GENERAL: general} | {path.stem: path for path in files}


def _is_shown(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
