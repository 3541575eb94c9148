"""Find the faults of an inference package, without running any of its code."""

import io
from pathlib import Path

import soundfile

from scenelet.errors import DataError, ModelFileError, escape_unprintable
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.package.check_module import check_module
from scenelet.evaluation.submission.package.check_requirements import check_requirements
from scenelet.evaluation.submission.package.form import (
    CHECKPOINTS,
    CLIP_SECONDS,
    COMPLEXITY,
    DUMMY,
    LABEL,
    LABEL_FORM,
    README,
    RESOURCES,
    SETUP,
    TEST_LIST,
    list_fault,
    module_names,
)
from scenelet.evaluation.submission.package.models import excesses, read_models
from scenelet.evaluation.submission.package.write import fixed_files

PYTHON_FOLDERS = ("", f"{CHECKPOINTS}/", f"{RESOURCES}/")
"""Folders in the Python package that are Python packages."""


def check_package(folder: Path) -> list[Fault]:
    """Find the faults of a package that `write_package` wrote and that may have been changed since.

    Nothing of the package is imported or run.

    Args:
        folder: the folder that pip installs, whose name is the label.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that `scenelet submit package` wrote")
    label = folder.resolve().name
    if LABEL.fullmatch(label) is None:
        return [Fault(escape_unprintable(label), "", f"the folder's name must be {LABEL_FORM}")]
    package = folder / label
    faults = [
        Fault(name, "", "is missing; it must be a file")
        for name in (SETUP, README, COMPLEXITY, *(f"{label}/{part}__init__.py" for part in PYTHON_FOLDERS))
        if not (folder / name).is_file()
    ]
    faults += _check_fixed(folder, label)
    faults += check_requirements(folder)
    faults += _check_resources(package / RESOURCES, f"{label}/{RESOURCES}")
    names = module_names(label)
    found = [path.stem for path in sorted(package.glob(f"{label}_*.py"))]
    for name in found:
        if name not in names:
            faults.append(Fault(f"{label}/{name}.py", "", f"must have a name from {names[0]} to {names[-1]}"))
    modules = [name for name in names if name in found]
    missing = [name for name in names[: max(1, len(modules))] if name not in modules]
    for name in missing:
        faults.append(Fault(f"{label}/{name}.py", "", "is missing; modules are numbered from 1 without a gap"))
    for path in sorted((package / CHECKPOINTS).glob("*/")):
        if path.name not in (*found, *missing, "__pycache__"):
            shown = escape_unprintable(path.name)
            faults.append(Fault(f"{label}/{CHECKPOINTS}/{shown}", "", f"has no module {shown}.py; delete it"))
    for name in modules:
        faults += check_module(package / f"{name}.py", f"{label}/{name}.py")
        faults += _check_models(package / CHECKPOINTS / name, f"{label}/{CHECKPOINTS}/{name}")
    return faults


def _check_fixed(folder: Path, label: str) -> list[Fault]:
    """Find files that differ from those of a new package. Only line ends may differ."""
    faults = []
    for name, text in fixed_files(label).items():
        data = _read(folder / name)
        if data is not None and data.replace(b"\r\n", b"\n") != text.encode():
            fault = f"is not the one of {label} that `scenelet submit package` writes; copy it from a new package"
            faults.append(Fault(name, "", fault))
    return faults


def _check_resources(folder: Path, shown: str) -> list[Fault]:
    faults = []
    clips, dummy = _read(folder / TEST_LIST), _read(folder / DUMMY)
    fault = "is missing; it must be the challenge's list of test clips" if clips is None else list_fault(clips)
    if fault is not None:
        faults.append(Fault(f"{shown}/{TEST_LIST}", "", fault))
    if dummy is None:
        return [*faults, Fault(f"{shown}/{DUMMY}", "", f"is missing; it must be a WAV file of {CLIP_SECONDS:g} s")]
    try:
        seconds = soundfile.info(io.BytesIO(dummy)).duration
    except soundfile.LibsndfileError:
        return [*faults, Fault(f"{shown}/{DUMMY}", "", f"cannot be read; it must be a WAV file of {CLIP_SECONDS:g} s")]
    if seconds != CLIP_SECONDS:
        faults.append(Fault(f"{shown}/{DUMMY}", "", f"has {seconds:g} s; it must have {CLIP_SECONDS:g} s"))
    return faults


def _check_models(folder: Path, shown: str) -> list[Fault]:
    if not folder.is_dir():
        return [Fault(shown, "", "is missing; it must hold general.scn")]
    try:
        models = read_models(folder)
    except ModelFileError as error:
        return [Fault(shown, "", str(error).removeprefix(f"{folder}").lstrip("/\\: "))]
    return [Fault(f"{shown}/{device}.scn", "", fault) for device, model in models.items() for fault in excesses(model)]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
