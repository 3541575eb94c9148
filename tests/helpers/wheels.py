"""Wheels with empty files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path


def write_wheel(path: Path, files: Sequence[str] | None = None) -> Path:
    """Write a wheel of empty files; by default those that a wheel of its name needs."""
    name, version = path.name.split("-")[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for file in files or (f"{name}/__init__.py", f"{name}-{version}.dist-info/METADATA"):
            wheel.writestr(file, "")
    return path
