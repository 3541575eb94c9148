"""Search for the recordings that a table lists."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scenelet.audio.io import EXTENSIONS
from scenelet.data.labels import normalize
from scenelet.errors import MissingAudioError
from scenelet.utils.text import first_few

METADATA_FOLDER = re.compile(
    r"meta(data)?|annotations?|labels?|splits?|csvs?|tables?|.*ground[_ -]?truth", re.IGNORECASE
)
"""Names of folders that hold tables of the recordings next to the folder."""


@dataclass(frozen=True)
class Located:
    """Recordings of a table.

    Attributes:
        root: folder that their names are relative to.
        names: name of each recording that exists, by its name in the table. They differ in Unicode form or extension.
        error: the error that names the missing recordings; None if there are none.
    """

    root: Path
    names: dict[str, str]
    error: MissingAudioError | None


def locate(table: Path, names: Sequence[str], audio_dir: Path | None) -> Located:
    """Find the folder that holds most of a table's recordings.

    The folder is `audio_dir`, or else the table's folder or one next to the table with "audio" in its name. A table in
    a folder like `metadata` is searched for as if it were next to that folder.

    Args:
        table: path of the table.
        names: the recordings' paths, with forward slashes. The extension may be absent.
        audio_dir: the folder to search; None: as above.
    """
    folders = [audio_dir] if audio_dir is not None else _folders(table)
    found = [_find_exact(folder, names) for folder in folders]
    if all(len(each) < len(names) for each in found):
        found = [_find_similar(folder, names) for folder in folders]
    best = max(range(len(folders)), key=lambda index: (len(found[index]), -index))
    missing = [name for name in names if name not in found[best]]
    error = _missing_error(table, names, missing, folders) if missing else None
    return Located(folders[best], found[best], error)


def _folders(table: Path) -> list[Path]:
    parents = [table.parent]
    if METADATA_FOLDER.fullmatch(table.absolute().parent.name):
        parents.append(table.absolute().parent.parent)
    folders = []
    for parent in parents:
        named = sorted(entry.name for entry in os.scandir(parent) if "audio" in entry.name.lower() and entry.is_dir())
        folders += [parent, *(parent / name for name in named)]
    return folders


def _find_exact(folder: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names if os.path.isfile(folder / name)}


def _find_similar(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Find recordings whose name has another Unicode form in the file system, or an extension."""
    listings: dict[Path, dict[str, list[str]]] = {}
    found = {}
    for name in names:
        real = _resolve(folder, name, listings)
        if real is not None and os.path.isfile(folder / real):
            found[name] = real
    return found


def _resolve(folder: Path, name: str, listings: dict[Path, dict[str, list[str]]]) -> str | None:
    """Return the name as the file system writes it; None if there is no such entry or several."""
    real = PurePosixPath()
    for part in PurePosixPath(name).parts:
        if part == ".." or PurePosixPath(part).is_absolute():
            real /= part
            continue
        parent = folder / real
        if parent not in listings:
            listings[parent] = _listing(parent)
        entries = listings[parent].get(normalize(part), [])
        if len(entries) != 1:
            return None
        real /= entries[0]
    return str(real)


def _listing(folder: Path) -> dict[str, list[str]]:
    """Return the entries of a folder by their normalized name, and recordings also by the name without extension."""
    entries: dict[str, list[str]] = defaultdict(list)
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):  # ValueError: the name holds a zero byte
        return entries
    stems: dict[str, list[str]] = defaultdict(list)
    for name in names:
        entries[normalize(name)].append(name)
        stem, extension = os.path.splitext(name)
        if extension.lower() in EXTENSIONS:
            stems[normalize(stem)].append(name)
    return stems | entries


def _missing_error(
    table: Path, names: Sequence[str], missing: Sequence[str], folders: Sequence[Path]
) -> MissingAudioError:
    alike = [name for folder in folders for name in _alike(folder, PurePosixPath(missing[0]))]
    hint = f"there is {alike[0]}: correct the names" if alike else "give --audio-dir, or delete their rows"
    return MissingAudioError(
        f"{table}: {len(missing):,} of {len(names):,} files do not exist ({first_few(missing)});"
        f" looked in {' and '.join(map(str, folders))}; {hint}",
        tuple(missing),
    )


def _alike(folder: Path, name: PurePosixPath) -> list[str]:
    """List the entries of a folder whose name differs only in case or extension."""
    try:
        siblings = os.listdir(folder / name.parent)
    except (OSError, ValueError):
        return []
    stem = name.stem.casefold()
    return [sibling for sibling in sorted(siblings) if os.path.splitext(sibling)[0].casefold() == stem]
