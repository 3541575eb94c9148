"""Find the faults of an inference package, without running any of its code."""

import ast
import io
from pathlib import Path

import soundfile

from scenelet.errors import DataError, ModelFileError, escape_unprintable
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.package.form import (
    CHECKPOINTS,
    CLIP_SECONDS,
    COMPLEXITY,
    DUMMY,
    FUNCTIONS,
    LABEL,
    LABEL_FORM,
    README,
    REQUIREMENTS,
    RESOURCES,
    SETUP,
    TEST_LIST,
    list_fault,
    module_names,
)
from scenelet.evaluation.submission.package.models import excesses, read_models

REQUIRED = ("scenelet", "torchinfo")


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
        for name in (SETUP, README, COMPLEXITY, f"{label}/__init__.py")
        if not (folder / name).is_file()
    ]
    faults += _check_requirements(folder)
    faults += _check_resources(package / RESOURCES, f"{label}/{RESOURCES}")
    names = module_names(label)
    found = [path.stem for path in sorted(package.glob(f"{label}_*.py"))]
    for name in found:
        if name not in names:
            faults.append(Fault(f"{label}/{name}.py", "", f"must have a name from {names[0]} to {names[-1]}"))
    modules = [name for name in names if name in found]
    for name in names[: max(1, len(modules))]:
        if name not in modules:
            faults.append(Fault(f"{label}/{name}.py", "", "is missing; modules are numbered from 1 without a gap"))
    for name in modules:
        faults += _check_module(package / f"{name}.py", f"{label}/{name}.py")
        faults += _check_models(package / CHECKPOINTS / name, f"{label}/{CHECKPOINTS}/{name}")
    return faults


def _check_requirements(folder: Path) -> list[Fault]:
    data = _read(folder / REQUIREMENTS)
    if data is None:
        return [Fault(REQUIREMENTS, "", "is missing; it must list the requirements")]
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()]
    faults = []
    for number, line in enumerate(lines, 1):
        if line.startswith("./") and not (folder / line.partition("[")[0]).is_file():
            faults.append(Fault(REQUIREMENTS, f"line {number}", f"names {line.partition('[')[0]}, which is missing"))
    for name in REQUIRED:
        if not any(line.rpartition("/")[2].startswith(name) for line in lines):
            faults.append(Fault(REQUIREMENTS, "", f"must name {name}, which the package imports"))
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


def _check_module(path: Path, shown: str) -> list[Fault]:
    """Find the functions that a module lacks, from its syntax tree."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError) as error:
        return [Fault(shown, "", f"is not a Python module ({type(error).__name__})")]
    functions = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    faults = []
    for name, arguments in FUNCTIONS.items():
        if name not in functions:
            faults.append(Fault(shown, name, f"is missing; it must be a function of {', '.join(arguments)}"))
            continue
        known = [argument.arg for argument in (*functions[name].posonlyargs, *functions[name].args)]
        if tuple(known[: len(arguments)]) != arguments:
            faults.append(Fault(shown, name, f"must take {', '.join(arguments)}; it takes {', '.join(known) or 'no'}"))
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
