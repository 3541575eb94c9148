"""Lock files, by which processes exclude each other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from scenelet.errors import BusyError, OutputError
from scenelet.utils.files import make_folder


@contextlib.contextmanager
def file_lock(lock: Path, busy: str = "") -> Iterator[None]:
    """Hold a lock file within the block. The system releases the lock if this process dies; the file stays.

    Args:
        lock: the lock file. The function creates it and its folder.
        busy: error message if another process holds the lock; empty: wait until it is released.

    Raises:
        BusyError: another process holds the lock.
        OutputError: the lock file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, file_lock(Path(folder) / "lock"):
    ...     with file_lock(Path(folder) / "lock", "another process is at work"):
    ...         pass
    Traceback (most recent call last):
    scenelet.errors.BusyError: another process is at work
    """
    import filelock

    make_folder(lock.parent)
    held = filelock.FileLock(lock, timeout=0 if busy else -1)
    try:
        held.acquire()
    except filelock.Timeout:
        raise BusyError(busy) from None
    except OSError as error:
        raise OutputError(f"{lock.parent}: cannot be written ({error.strerror}); choose another path") from None
    try:
        yield
    finally:
        held.release()
