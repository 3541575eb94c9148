"""What the process does with memory that it has freed."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Tell glibc to keep large freed blocks for the next ones; returns whether it could.

    By default a block of tens of megabytes, an activation of a training step, goes back to the system at
    once, and its successor is handed out page by page, each zeroed anew: a third of the step's time. Holds for
    the whole process, whose memory then stays at its peak. Elsewhere than on glibc nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
