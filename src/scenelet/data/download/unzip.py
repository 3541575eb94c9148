"""Unpack a zip archive into a folder: only complete files, and never outside the folder."""

import collections
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from scenelet.errors import DataError, OutputError
from scenelet.utils.files import fsync_dir, fsync_file, make_folder
from scenelet.utils.parallel import map_threads

CHUNK_BYTES = 1 << 20
SYNC_THREADS = 16
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, struct.error)
"""Errors of `zipfile` for damaged archives. RuntimeError also stands for features that it lacks."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def unzip(archive: Path, root: Path) -> None:
    """Write every file of a zip archive below `root`; existing files are replaced.

    The first folder in the archive may be `root.name` itself, or be left out. A file gets its name only when it is
    complete and its checksum is right. If any entry is refused, nothing is written. When the function returns, all
    files are flushed to disk, if the system can do so.

    Raises:
        DataError: not a zip archive; a damaged one; or an entry that would lie outside the root, is not a plain file,
            is encrypted, or is compressed by a method that Python lacks.
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
        # several files at once, since the disk then writes many of them in one go
        collections.deque(map_threads(fsync_file, files.values(), SYNC_THREADS), maxlen=0)
        for folder in {path.parent for path in files.values()}:
            fsync_dir(folder)
    except (*DAMAGE, OSError) as error:
        if not isinstance(error, OSError) or error.errno is None:  # bzip2 reports damage as OSError
            raise DataError(f"{archive}: not a complete zip archive ({error}); delete it and fetch it again") from None
        problem = f"{archive.name} cannot be unpacked there ({error.strerror or error})"
        raise OutputError(f"{root}: {problem}; fix that and run the command again") from None


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Check that the disk of `folder`, which need not exist yet, has this much free space; raise OutputError if not."""
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
    is_outside = not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in name
    method = f"is compressed by method {entry.compress_type}, which Python cannot read"
    is_plain = stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
    for is_refused, fault in (
        (is_outside, f"would lie outside {root}; do not use this archive"),
        (entry.flag_bits & 1, "is encrypted; unpack the archive with its password yourself"),
        (entry.compress_type not in METHODS, f"{method}; unpack the archive with another program"),
        (not is_plain, "is a link or a device, not a file; do not use this archive"),
    ):
        if is_refused:
            raise DataError(f"{archive}: its entry {name!r} {fault}")
    return root.joinpath(*(parts[1:] if parts[0] == root.name and len(parts) > 1 else parts))
