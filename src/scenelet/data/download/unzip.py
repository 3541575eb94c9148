"""Unpack a zip archive into a root folder, a whole file at a time, and never outside it."""

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from scenelet.errors import DataError, OutputError
from scenelet.utils.files import make_folder

CHUNK = 1 << 20  # bytes


def unzip(archive: Path, root: Path) -> None:
    """Write every file of a zip archive below `root`; files that are there are replaced.

    The first folder in the archive may be `root.name` itself, or be left out. A file appears under
    its name only when it is whole and its checksum is right. Nothing is written when any entry is refused.
    When it returns, all are on the disk, where the system can.

    Raises:
        DataError: not a zip archive, damaged, or an entry that would lie outside the root, or that is
            not a plain file.
        OutputError: no space, or it cannot be written.
    """
    partial = root / ".unpacking.part"
    try:
        with zipfile.ZipFile(archive) as zipped:
            places = {entry: _place(archive, entry, root) for entry in zipped.infolist()}
            files = {entry: place for entry, place in places.items() if not entry.is_dir()}
            make_folder(root)
            check_disk_space(root, sum(entry.file_size for entry in files))
            try:
                for entry, place in files.items():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with zipped.open(entry) as source, partial.open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
                    os.replace(partial, place)
            finally:
                partial.unlink(missing_ok=True)
            if hasattr(os, "sync"):
                os.sync()  # thousands of files: one by one it would take minutes
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive}: not a whole zip archive ({error}); delete it and fetch it again") from None
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{root}: {archive.name} cannot be unpacked there ({reason}); mend that and go on") from None


def check_disk_space(folder: Path, needed: int) -> None:
    """Raise OutputError when the disk of `folder`, which need not exist yet, has fewer than `needed` bytes free."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OutputError(
            f"{folder}: needs {needed / 1e9:,.1f} GB and its disk has {free / 1e9:,.1f} GB free;"
            " make room, or choose another place"
        )


def _place(archive: Path, entry: zipfile.ZipInfo, root: Path) -> Path:
    name = entry.filename
    parts = PurePosixPath(name).parts
    # A backslash or a colon is harmless here, and a way out of the folder on Windows.
    if not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in name:
        raise DataError(f"{archive}: its entry {name!r} would lie outside {root}; do not use this archive")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: its entry {name!r} is a link or a device, not a file; do not use this archive")
    return root.joinpath(*(parts[1:] if parts[0] == root.name and len(parts) > 1 else parts))
