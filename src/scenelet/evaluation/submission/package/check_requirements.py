"""Find the faults of a package's requirements, as its setup.py reads them."""

import re
from pathlib import Path

from scenelet.errors import escape_unprintable
from scenelet.evaluation.submission.faults import Fault, decode_text
from scenelet.evaluation.submission.package.form import REQUIREMENTS
from scenelet.evaluation.submission.package.wheel import wheel_fault

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(?:[<>=!~;@(].*)?", re.ASCII)
WHEEL = re.compile(r"\./([^\[\]]+)\[([^\[\]]+)\]")
NEEDED = {"scenelet": "scenelet[train]", "torchinfo": "torchinfo"}


def check_requirements(folder: Path) -> list[Fault]:
    """Find the faults of requirements.txt, and of the wheels that it names.

    Args:
        folder: the folder that pip installs.
    """
    try:
        text = decode_text(REQUIREMENTS, (folder / REQUIREMENTS).read_bytes())
    except OSError:
        return [Fault(REQUIREMENTS, "", "is missing; it must list the requirements")]
    if isinstance(text, Fault):
        return [text]
    faults, named = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        if not (requirement := re.sub(r"(^|\s)#.*", "", line).strip()):
            continue
        if line.startswith("./"):
            name, extras, fault = "scenelet", *_read_wheel_line(folder, line)
        elif (match := REQUIREMENT.fullmatch(requirement)) is not None:
            name, extras, fault = re.sub(r"[-_.]+", "-", match[1]).lower(), match[2], None
        else:
            fault = f"is not a requirement: {escape_unprintable(requirement)}; delete it, or write NAME==VERSION"
            faults.append(Fault(REQUIREMENTS, f"line {number}", fault))
            continue
        named.add(name)
        if fault is None and name == "scenelet" and "train" not in re.split(r"[\s,]+", (extras or "").strip()):
            fault = "must name scenelet[train], since the package needs PyTorch"
        if fault is not None:
            faults.append(Fault(REQUIREMENTS, f"line {number}", fault))
    for name, requirement in NEEDED.items():
        if name not in named:
            faults.append(Fault(REQUIREMENTS, "", f"must name {requirement}, which the package imports"))
    return faults


def _read_wheel_line(folder: Path, line: str) -> tuple[str, str | None]:
    """Return the extras of a wheel's line, and its fault."""
    shown = escape_unprintable(line)
    if (match := WHEEL.fullmatch(line)) is None:
        return "", f"is {shown}; it must be a wheel's path and [train], as ./wheels/NAME.whl[train]"
    path = folder / match[1]
    shown = escape_unprintable(match[1])
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return match[2], f"names ./{shown}, which is outside of the package; put it into wheels/"
        data = path.read_bytes()
    except (OSError, ValueError):
        return match[2], f"names ./{shown}, which is missing"
    fault = wheel_fault(path.name, data)
    return match[2], None if fault is None else f"names ./{shown}, which {fault}; give one that `pip wheel` wrote"
