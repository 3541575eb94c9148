"""Files: atomic writes, folder search, and CSV text."""

import contextlib
import csv
import glob
import io
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from scenelet.errors import OutputError
from scenelet.utils.locks import file_lock

STALE_SECONDS = 86_400
"""Age from which a temporary file or folder belongs to a process that died. No single write takes a day."""

SYSTEM_NAMES = (
    *("__MACOSX", "@eaDir", "#recycle", "#snapshot", "lost+found"),
    *("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "Thumbs.db"),
)
"""Files and folders of systems, archivers and network drives. They hold copies, thumbnails or deleted files."""


Content = bytes | str | Iterator[bytes]
"""Content of a file. Text is encoded as UTF-8. The parts of an iterator are written one after the other."""


def replace_file(path: Path, data: Content) -> None:
    """Write a file atomically: write `data` to a temporary file next to `path`, then rename it.

    Args:
        path: the file to create or replace.
        data: its content.

    Raises:
        OutputError: the file cannot be written. An existing file is then unchanged.
    """
    replace_files({path: data})


def replace_files(files: Mapping[Path, Content], remove: Iterable[Path] = ()) -> None:
    """Write files that belong together: all temporary files are complete before the first one is renamed.

    The last file acts as the index. It is hidden while the others are replaced. So if it exists, all files come from
    the same write, even after a crash. Other processes and threads that write the same index wait meanwhile.

    Args:
        files: the content of each file, by path.
        remove: files of an earlier write that this write does not have.

    Raises:
        OutputError: a file cannot be written or renamed. The earlier files are then restored.
    """
    for path in files:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of the file to write")
    path = index = list(files)[-1]
    partial = {path: partial_path(path) for path in files}
    try:
        for path, data in files.items():
            write_new_file(partial[path], data)
        if len(files) == 1:
            os.replace(partial[path], path)
        else:
            lock = index.with_name(f".{index.name}.lock")
            with file_lock(lock):
                try:
                    _replace_set(partial, [index, *files, *remove])
                finally:
                    with contextlib.suppress(OSError):  # Windows keeps files that are open
                        lock.unlink()
        for folder in {path.parent for path in files}:
            fsync_dir(folder)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    finally:
        for temporary in partial.values():
            with contextlib.suppress(OSError):
                temporary.unlink()


def _replace_set(partial: Mapping[Path, Path], earlier: Sequence[Path]) -> None:
    """Hide the earlier files, the index first, and rename the new ones from their temporary paths; undo a failure."""
    hidden: dict[Path, Path] = {}
    try:
        for path in earlier:
            if path not in hidden and path.exists():
                temporary = partial_path(path)
                os.replace(path, temporary)
                hidden[path] = temporary
        for path, temporary in partial.items():
            os.replace(temporary, path)
    except OSError:
        for path, temporary in partial.items():
            if not temporary.exists():  # it was renamed
                path.unlink(missing_ok=True)
        for path, temporary in reversed(hidden.items()):
            os.replace(temporary, path)
        raise
    for temporary in hidden.values():
        temporary.unlink(missing_ok=True)


def write_new_file(path: Path, data: Content) -> None:
    """Write a file and wait until it is on disk; raise OSError if it exists, even as a link, or cannot be written."""
    with path.open("xb") as file:  # never through a link that somebody else placed there
        data = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        os.fsync(file.fileno())


def fsync_file(path: Path) -> None:
    """Wait until a file's bytes are on disk. Otherwise a power cut could leave an empty file with a valid name."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def fsync_dir(folder: Path) -> None:
    """Wait until a folder's entries are on disk, if the system supports it."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network drives do not support it, and the folder may be unreadable
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def partial_path(path: Path) -> Path:
    """Return a temporary path for `path` that others cannot guess, and delete stale ones.

    Create it with `open(..., "x")` or `mkdir`, which refuse an existing file or link.

    >>> partial_path(Path("models/rain.scn")).name  # doctest: +ELLIPSIS
    '.rain.scn...part'
    """
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # another process may have deleted it
            if time.time() - stale.lstat().st_mtime > STALE_SECONDS:
                shutil.rmtree(stale) if stale.is_dir() and not stale.is_symlink() else stale.unlink()
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def make_folder(path: Path) -> None:
    """Create a folder and its parents if they are missing; raise OutputError if it cannot be created or written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be made ({error.strerror}); choose another path") from None
    if not os.access(path, os.W_OK):  # checked before hours of work whose result would be lost
        raise OutputError(f"{path}: the folder cannot be written; choose another path")


def walk_files(
    folder: Path,
    extensions: Sequence[str] = (),
    on_skip: Callable[[Path, str], None] = lambda path, reason: None,
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """List the files in a folder and its subfolders, sorted.

    Hidden files and folders, `SYSTEM_NAMES` and virtual environments are skipped without a report. Links to folders
    are followed, but no folder is searched twice, so cycles end. Real folders are searched before links.

    Args:
        folder: the folder to search.
        extensions: lower-case extensions of the files to list; empty: all files.
        on_skip: called with a path and a reason for an entry that has such a name but is not a file, for a link to a
            folder that is searched already, and, without `on_error`, for a folder that cannot be read.
        on_error: called for a folder that cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("b.wav", "a.WAV", ".hidden.wav", "notes.txt"):
    ...         (Path(folder) / name).touch()
    ...     [path.name for path in walk_files(Path(folder), (".wav",))]
    ['a.WAV', 'b.wav']
    """
    found: list[Path] = []
    searched: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        try:
            status, entries = current.stat(), sorted(os.listdir(current))
        except OSError as error:
            if on_error is not None:
                on_error(error)
            else:
                on_skip(current, f"cannot be read ({error.strerror})")
            continue
        identity = status.st_dev, status.st_ino
        if identity in searched:
            on_skip(current, "a link to a folder that is searched already")
        elif "pyvenv.cfg" not in entries:
            visible = [name for name in entries if not name.startswith(".") and name not in SYSTEM_NAMES]
            for path in (current / name for name in visible):
                if os.path.isdir(path):
                    (links if path.is_symlink() else folders).append(path)
                elif extensions and path.suffix.lower().strip() not in extensions:
                    continue
                elif os.path.isfile(path):
                    found.append(path)
                else:
                    on_skip(path, "a link that leads to no file" if path.is_symlink() else "not a file")
        searched.add(identity)
    return sorted(found)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a header and rows as CSV text, with lines that end in a newline only.

    >>> csv_text(["filename", "label"], [["a.wav", "rain, wind"]])
    'filename,label\na.wav,"rain, wind"\n'
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    return text.getvalue()
