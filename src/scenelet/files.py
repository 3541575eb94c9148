"""Files that are seen whole or not at all, tables as text, and where the cache is."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from scenelet.errors import OutputError


def replace_file(path: Path, data: bytes | str) -> None:
    """Write `data` under a temporary name beside `path`, then move it there.

    Raises:
        OutputError: it cannot be written; what was at `path` is untouched.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of the file to write")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            partial.write_bytes(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def is_file(path: Path) -> bool:
    """Whether there is such a file; none has a name that is longer than names can be."""
    try:
        return path.is_file()
    except OSError:
        return False


def cache_folder() -> Path:
    """Where what can be computed again is kept: `$SCENELET_CACHE`, or `.cache/scenelet` in the user's home."""
    return Path(os.environ.get("SCENELET_CACHE") or Path.home() / ".cache" / "scenelet")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be made ({error.strerror}); choose another place") from None


def visible_files(folder: Path) -> list[Path]:
    """Every file in a folder and those below it, sorted; what is hidden is passed over, and virtual environments."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for name in names if not name.startswith(".") and (path := Path(place, name)).is_file()]
    return sorted(found)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and rows as CSV, lines ending in a newline alone."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return text.getvalue()
