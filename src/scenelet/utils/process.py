"""Settings of the whole process: a command makes them, a library leaves them to its user."""

import ctypes
import sys

SWITCH_SECONDS = 0.0005
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # glibc's malloc.h
_LARGE, _KEPT, _ARENAS = 4 << 20, 64 << 20, 2


def tune() -> None:
    """Prepare this process for many short pieces of work in several threads.

    A thread that comes back from NumPy and finds the interpreter taken waits 5 ms before it asks for it,
    which is longer than the features of 10 s take.
    """
    keep_freed_memory()
    sys.setswitchinterval(SWITCH_SECONDS)


def peak_memory() -> int:
    """The most that this process has had in memory so far, bytes; 0 where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def open_files(wanted: int) -> int:
    """How many files and sockets this process may have open: as many as wanted, where the system gives them."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        return soft
    return allowed


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks for the next ones; returns whether it could.

    By default a block of tens of megabytes, an activation of a training step, goes back to the system at
    once, and its successor is handed out page by page, each zeroed anew. Holds for
    the whole process, whose memory then stays at its peak. Elsewhere than on glibc nothing changes.
    """
    return _set({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1})


def give_back_memory() -> bool:
    """Undo `keep_freed_memory` for blocks of megabytes, for a process that runs on and on; returns whether it could.

    What others send is large, of all sizes, and lives in turns; kept, it would leave holes that the next does not fit
    into. What is computed with is smaller, and still kept.
    """
    return _set(
        {_M_MMAP_MAX: 65536, _M_MMAP_THRESHOLD: _LARGE, _M_TRIM_THRESHOLD: _KEPT, _M_ARENA_MAX: _ARENAS},
    )


def _set(options: dict[int, int]) -> bool:
    """glibc's options of its allocator."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    return all(mallopt(option, value) for option, value in options.items())
