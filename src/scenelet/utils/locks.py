"""Lock files, by which processes exclude each other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from scenelet.errors import BusyError, OutputError
from scenelet.utils.console import print_message

QUIET_SECONDS = 10.0
"""Time that a process waits for a lock before it says so."""


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

    held = filelock.FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=0 if busy else QUIET_SECONDS)
        except filelock.Timeout:
            if busy:
                raise BusyError(busy) from None
            print_message(f"{lock}: another process is at work there; this one waits until it has finished")
            held.acquire()
    except OSError as error:
        raise OutputError(f"{lock.parent}: cannot be written ({error.strerror}); choose another path") from None
    try:
        yield
    finally:
        held.release()
