"""Folders that an export writes. They may hold files of the user."""

from collections.abc import Iterable
from pathlib import Path

from scenelet.errors import OutputError
from scenelet.utils.text import first_few


def check_replaceable(folder: Path, files: Iterable[str], marks: Iterable[str]) -> None:
    """Check that the files to write replace none of the user's.

    Args:
        folder: the folder to write.
        files: the files to write, by their path in it.
        marks: files of which an earlier export has written at least one. If one exists, the others may be replaced.

    Raises:
        OutputError: a file exists, and there was no earlier export.

    >>> check_replaceable(Path("new"), ["index.html"], ["model.js"])
    """
    existing = [file for file in files if (folder / file).is_file()]
    if existing and not any((folder / mark).exists() for mark in marks):
        raise OutputError(
            f"{folder}: has files that the export would replace ({first_few(existing)}); give another folder"
        )
