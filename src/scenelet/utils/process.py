"""Process-wide settings. Only commands change them; the library never does."""

import ctypes
import sys

SWITCH_SECONDS = 0.0005
"""Maximum time that a thread waits for the interpreter while another one runs."""

# options of `mallopt`, from glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8
_KEEP = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1}
_GIVE_BACK = {_M_MMAP_MAX: 65536, _M_MMAP_THRESHOLD: 4 << 20, _M_TRIM_THRESHOLD: 64 << 20, _M_ARENA_MAX: 2}


def tune() -> None:
    """Prepare this process for many short pieces of work in several threads.

    By default a thread that returns from NumPy waits up to 5 ms for the interpreter. The features of 10 s of sound take
    less time than that.
    """
    keep_freed_memory()
    sys.setswitchinterval(SWITCH_SECONDS)


def peak_memory() -> int:
    """Return the maximum memory that this process has used so far, in bytes; 0 on Windows, where it is unknown.

    >>> peak_memory() > 1_000_000
    True
    """
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def open_files(wanted: int) -> int:
    """Raise the limit of open files and sockets to `wanted`, as far as the system allows, and return the limit.

    A limit above `wanted` is not lowered; the function then returns `wanted`.
    """
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
    """Tell glibc to reuse large freed blocks; return whether it could.

    By default glibc returns a freed block of tens of megabytes to the system. The next block, e.g. of a training step,
    costs a page fault per page. The process keeps its peak memory. Other C libraries are not changed.
    """
    return _set(_KEEP)


def give_back_memory() -> bool:
    """Undo `keep_freed_memory` for blocks of megabytes, in a long-running process; return whether it could.

    Requests to a server are large and of all sizes. Kept blocks would leave holes that the next request does not fit
    into. Smaller blocks, which hold intermediate results, are still reused.
    """
    return _set(_GIVE_BACK)


def _set(options: dict[int, int]) -> bool:
    """Set options of glibc's allocator."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    return all(mallopt(option, value) for option, value in options.items())
