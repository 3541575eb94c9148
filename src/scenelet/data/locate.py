"""Search for the recordings that a table lists."""

import contextlib
import functools
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from scenelet.audio.io import EXTENSIONS
from scenelet.data.labels import normalize
from scenelet.errors import MissingAudioError
from scenelet.utils.text import first_few

METADATA_FOLDER = re.compile(
    r"meta(data)?|annotations?|labels?|splits?|csvs?|tables?|.*ground[_ -]?truth", re.IGNORECASE
)
"""Names of folders that hold tables of the recordings next to the folder."""


def locate(
    table: Path, names: Sequence[str], audio_dir: Path | None
) -> tuple[Path, dict[str, str], MissingAudioError | None]:
    """Find the folder that holds most of a table's recordings.

    The folder is `audio_dir`, or else the table's folder or one next to the table with "audio" in its name. A table in
    a folder like `metadata` is searched for as if it were next to that folder.

    Args:
        table: path of the table.
        names: the recordings' paths, with forward slashes. The extension may be absent.
        audio_dir: the folder to search; None: as above.

    Returns:
        The folder; the name there of each recording that exists, by its name in the table, from which it can differ in
        Unicode form or extension; and the error that names the missing recordings, or None.
    """
    listing = functools.cache(_list_folder)
    folders = [audio_dir] if audio_dir is not None else _folders(table)
    found = [{name: real for name in names if (real := _find(folder, name, listing))} for folder in folders]

    def quality(index: int) -> tuple[int, int]:
        return len(found[index]), sum(name == real for name, real in found[index].items())

    best = max(range(len(folders)), key=quality)
    missing = tuple(name for name in names if name not in found[best])
    error = None
    if missing:
        first = PurePosixPath(missing[0])
        siblings = itertools.chain(*(names for folder in folders for names in listing(folder / first.parent).values()))
        stems = {
            name: os.path.splitext(name)[0].casefold() for name in siblings if name not in (first.name, table.name)
        }
        alike = sorted(name for name, stem in stems.items() if stem == first.stem.casefold())
        hint = f"there is {alike[0]}: correct the names" if alike else "give --audio-dir, or delete their rows"
        error = MissingAudioError(
            f"{table}: {len(missing):,} of {len(names):,} files do not exist ({first_few(missing)});"
            f" looked in {' and '.join(map(str, folders))}; {hint}",
            missing,
        )
    return folders[best], found[best], error


def _folders(table: Path) -> list[Path]:
    parents = [table.parent]
    if METADATA_FOLDER.fullmatch(table.absolute().parent.name):
        parents.append(table.absolute().parent.parent)
    folders = []
    for parent in parents:
        named = sorted(entry.name for entry in os.scandir(parent) if "audio" in entry.name.lower() and entry.is_dir())
        folders += [parent, *(parent / name for name in named)]
    return folders


def _find(folder: Path, name: str, listing: Callable[[Path], dict[str, list[str]]]) -> str | None:
    """Return a recording's name as the file system writes it; None if there is no such file or several."""
    if os.path.isfile(folder / name):
        return name
    real = PurePosixPath()
    for part in PurePosixPath(name).parts:
        entries = listing(folder / real).get(normalize(part), [part])  # ".." and "/" are in no listing
        if len(entries) > 1:
            return None
        real /= entries[0]
    return str(real) if os.path.isfile(folder / real) else None


def _list_folder(folder: Path) -> dict[str, list[str]]:
    """Return the entries of a folder by their normalized name, and recordings also by the name without extension."""
    entries: dict[str, list[str]] = defaultdict(list)
    stems: dict[str, list[str]] = defaultdict(list)
    with contextlib.suppress(OSError, ValueError):  # ValueError: the name holds a zero byte
        for name in sorted(os.listdir(folder)):
            entries[normalize(name)].append(name)
            stem, extension = os.path.splitext(name)
            if extension.lower() in EXTENSIONS:
                stems[normalize(stem)].append(name)
    return stems | entries
