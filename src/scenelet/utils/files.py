"""Files that are seen whole or not at all, locks, tables as text, and where the cache is."""

import contextlib
import csv
import glob
import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from scenelet.errors import BusyError, OutputError

STALE_SECONDS = 86_400
"""Nobody writes one file or makes one folder for a day: what is temporary and of that age is a dead process's."""


def replace_file(path: Path, data: bytes | str) -> None:
    """Write `data` under a temporary name beside `path`, then move it there.

    Raises:
        OutputError: it cannot be written; what was at `path` is untouched.
    """
    replace_files({path: data})


def replace_files(files: Mapping[Path, bytes | str], remove: Iterable[Path] = ()) -> None:
    """Write files that belong together: all are whole under temporary names before the first gets its own.

    Where there are several, the last, by which people find the others, is away while these change: so where it is
    there, all are of one writing, whoever is killed.

    Args:
        files: path -> what it is to hold.
        remove: files of a writing before that this one does not have.

    Raises:
        OutputError: one cannot be written, or not get its name; what was there is there again.
    """
    for path in files:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of the file to write")
    path = last = list(files)[-1]
    partial = {path: partial_path(path) for path in files}
    try:
        try:
            for path, data in files.items():
                partial[path].write_bytes(data.encode(errors="surrogateescape") if isinstance(data, str) else data)
                fsync_file(partial[path])
            former = [] if len(files) == 1 else [last, *(path for path in files if path != last)]
            with _aside([*former, *remove], files):
                for path in files:
                    os.replace(partial[path], path)
            for folder in {path.parent for path in files}:
                fsync_dir(folder)
        finally:
            for each in partial.values():
                each.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


@contextlib.contextmanager
def _aside(former: Sequence[Path], files: Iterable[Path]) -> Iterator[None]:
    """Hide files while others take their places; where that fails, put them back, and these away."""
    hidden: dict[Path, Path] = {}
    all_hidden = False
    try:
        for path in former:
            if path.exists():
                place = path.with_name(f".{path.name}.{os.getpid()}.former.part")
                os.replace(path, place)
                hidden[path] = place
        all_hidden = True
        yield
    except OSError:
        if former and all_hidden:
            for path in files:
                path.unlink(missing_ok=True)
        for path, place in reversed(hidden.items()):
            os.replace(place, path)
        raise
    for place in hidden.values():
        place.unlink(missing_ok=True)


def fsync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk: with a name, and without them, a power cut must not leave it."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def fsync_dir(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can: what was said to be done then is."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network drives cannot, and a folder may be hidden from its writer
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def partial_path(path: Path) -> Path:
    """Where a file or folder is made before it gets its name; what the dead left of the same goes away."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # another one was faster
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextlib.contextmanager
def file_lock(lock: Path, busy: str = "") -> Iterator[None]:
    """Hold a lock file for this process; its death gives it back, the file stays.

    Args:
        lock: the file; it is made, and the folder that it lies in.
        busy: what is said where another process holds it; empty: its end is waited for.

    Raises:
        BusyError: another process holds it.
        OutputError: it cannot be written.
    """
    import filelock

    make_folder(lock.parent)
    held = filelock.FileLock(lock, timeout=0 if busy else -1)
    try:
        held.acquire()
    except filelock.Timeout:
        raise BusyError(busy) from None
    except OSError as error:
        raise OutputError(f"{lock.parent}: cannot be written ({error.strerror}); choose another place") from None
    try:
        yield
    finally:
        held.release()


def cache_folder() -> Path:
    """Where what can be computed again is kept: `$SCENELET_CACHE`, or `.cache/scenelet` in the user's home."""
    return Path(os.environ.get("SCENELET_CACHE") or Path.home() / ".cache" / "scenelet")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are not there, and see that it can be written.

    Raises:
        OutputError: it cannot be made, or not be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: the folder cannot be made ({error.strerror}); choose another place") from None
    if not os.access(path, os.W_OK):  # before hours of work whose result would be lost
        raise OutputError(f"{path}: the folder cannot be written; choose another place")


def walk_files(
    folder: Path, extensions: tuple[str, ...] = (), passed_over: Callable[[Path, str], None] = lambda path, why: None
) -> list[Path]:
    """Every file in a folder and those below it, sorted; what is hidden is passed over, and virtual environments.

    Args:
        folder: where to look.
        extensions: of the files that are meant, in lower case; none: all.
        passed_over: told of what is not hidden and has such a name but is no file, of links to folders, which could
            lead in a circle, and of folders that cannot be read; and why.
    """
    found: list[Path] = []

    def closed(error: OSError) -> None:
        passed_over(Path(error.filename), f"cannot be read ({error.strerror})")

    for place, folders, names in os.walk(folder, onerror=closed):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in folders):
            if path.is_symlink():
                passed_over(path, "a link to a folder")
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if extensions and path.suffix.lower() not in extensions:
                continue
            if os.path.isfile(path):
                found.append(path)
            else:
                passed_over(path, "a link that leads to no file" if path.is_symlink() else "not a file")
    return sorted(found)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and rows as CSV, lines ending in a newline alone."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return text.getvalue()
