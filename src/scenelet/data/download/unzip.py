"""Unpack a zip archive into a folder: only complete files, and never outside the folder."""

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from scenelet.errors import DataError, OutputError
from scenelet.utils.files import make_folder

CHUNK_BYTES = 1 << 20


def unzip(archive: Path, root: Path) -> None:
    """Write every file of a zip archive below `root`; existing files are replaced.

    The first folder in the archive may be `root.name` itself, or be left out. A file gets its name only when it is
    complete and its checksum is right. If any entry is refused, nothing is written. When the function returns, all
    files are flushed to disk, if the system can do so.

    Raises:
        DataError: not a zip archive; a damaged one; an entry that would lie outside the root; or an entry that is
            not a plain file.
        OutputError: the disk is full, or a file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     archive = Path(folder) / "data.zip"
        ...     with zipfile.ZipFile(archive, "w") as file:
        ...         file.writestr("data/readme.txt", "hello")
        ...     unzip(archive, Path(folder) / "data")
        ...     (Path(folder) / "data" / "readme.txt").read_text()
        'hello'
    """
    partial = root / ".unpacking.part"
    try:
        with zipfile.ZipFile(archive) as zipped:
            paths = {entry: _destination(archive, entry, root) for entry in zipped.infolist()}
            files = {entry: path for entry, path in paths.items() if not entry.is_dir()}
            make_folder(root)
            check_disk_space(root, sum(entry.file_size for entry in files))
            try:
                for entry, path in files.items():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with zipped.open(entry) as source, partial.open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK_BYTES)
                    os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            if hasattr(os, "sync"):
                os.sync()  # one call, since flushing thousands of files one by one takes minutes
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive}: not a complete zip archive ({error}); delete it and fetch it again") from None
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"{root}: {archive.name} cannot be unpacked there ({reason}); fix that and run the command again"
        ) from None


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Check that the disk of `folder` has this much free space; the folder need not exist yet.

    Raises:
        OutputError: the free space is too small.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{folder}: needs {needed_bytes / 1e9:,.1f} GB and its disk has {free_bytes / 1e9:,.1f} GB free;"
            " free some space, or choose another folder"
        )


def _destination(archive: Path, entry: zipfile.ZipInfo, root: Path) -> Path:
    """Compute where an entry is written, and refuse an unsafe one."""
    name = entry.filename
    parts = PurePosixPath(name).parts
    # backslash and colon are harmless on this system, but lead out of the folder on Windows
    if not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in name:
        raise DataError(f"{archive}: its entry {name!r} would lie outside {root}; do not use this archive")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: its entry {name!r} is a link or a device, not a file; do not use this archive")
    return root.joinpath(*(parts[1:] if parts[0] == root.name and len(parts) > 1 else parts))
