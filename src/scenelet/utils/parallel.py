"""A function applied to many items, in threads or in processes.

Threads suit NumPy and similar libraries, which release the interpreter while they compute.
"""

import collections
import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from scenelet.errors import SceneletError

Item = TypeVar("Item")
Result = TypeVar("Result")

MIN_PROCESS_ITEMS = 8
"""Minimum number of items for which processes are started. For fewer, starting them costs more than they save."""
CHUNK_ITEMS = 4
"""Number of items sent to a process at once."""


def cpu_count() -> int:
    """Return the number of CPUs that this process may use.

    >>> cpu_count() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Return `[function(item), ...]`, computed in threads if `threads` is above 1.

    It suits a few large pieces of one computation. The function must not call `parallel_map` itself.

    >>> parallel_map(abs, [-1, 2, -3], threads=2)
    [1, 2, 3]
    """
    if threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    others = [_thread_pool().submit(function, item) for item in items[1:]]
    return [function(items[0]), *(other.result() for other in others)]


@functools.cache
def _thread_pool() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(cpu_count(), "scenelet")


def map_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `function(item)` in order, from `threads` threads; at most twice as many items are taken in advance.

    >>> list(map_threads(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    iterator = iter(items)
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(threads, "scenelet-map") as executor:
        try:
            for item in iterator:
                waiting.append(executor.submit(function, item))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the caller stopped early, or an item failed
            executor.shutdown(cancel_futures=True)


def map_processes(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None) -> Iterator[Result]:
    """Yield `function(item)` in order, from `workers` processes; None: one process per CPU.

    Processes are spawned, not forked: a fork of a process with PyTorch's threads can hang.

    Raises:
        SceneletError: a process died, e.g. because a script lacks a main guard.

    >>> list(map_processes(abs, [-1, 2, -3], workers=1))
    [1, 2, 3]
    """
    if workers == 1 or len(items) < MIN_PROCESS_ITEMS:
        yield from map(function, items)
        return
    try:
        with processes(min(workers or cpu_count(), -(-len(items) // CHUNK_ITEMS))) as executor:
            yield from executor.map(function, items, chunksize=CHUNK_ITEMS)
    except BrokenProcessPool:
        raise SceneletError(
            "the worker processes ended unexpectedly; a script that calls scenelet needs its calls under"
            " `if __name__ == '__main__':`, and enough memory for one process per CPU"
        ) from None


@contextlib.contextmanager
def processes(
    workers: int, prepare: Callable[[], object] | None = None
) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Start a pool of spawned processes, which ends with the block or when this process dies.

    The end of the block kills the processes, even if they are at work.

    Args:
        workers: number of processes; all are started at once.
        prepare: called in each process before its work.
    """
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (prepare,))
    # The pool must start all processes before it watches them, as it does for forked ones. Otherwise, if one dies while
    # another one is being started, the pool ends the processes that it knows and waits for the new one forever.
    executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
    try:
        yield executor
    finally:
        # after an interrupt the processes would finish their current items first
        for process in list((executor._processes or {}).values()):
            process.kill()
        executor.shutdown(cancel_futures=True)


def _begin(prepare: Callable[[], object] | None) -> None:
    """Ignore SIGINT in a worker, since the parent handles it, and exit if the parent dies."""
    if prepare is not None:
        prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
