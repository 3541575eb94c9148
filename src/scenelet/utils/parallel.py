"""A function over many items, in threads (NumPy and its kin release the interpreter) or in processes."""

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

INLINE = 8  # below this, starting processes costs more than they save
CHUNK = 4  # items sent to a process at once


def cpu_count() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """`[function(item), ...]`, the items shared out over threads when `threads` is above 1.

    For a few large pieces of one computation; not to be called from within itself.
    """
    if threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    others = [_helpers().submit(function, item) for item in items[1:]]
    return [function(items[0]), *(other.result() for other in others)]


@functools.cache
def _helpers() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(cpu_count(), "scenelet")


def map_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `function(item)` in order, from `threads` threads; at most twice as many items are under way."""
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
        finally:  # the caller has had enough, or an item failed
            executor.shutdown(cancel_futures=True)


def map_processes(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None) -> Iterator[Result]:
    """Yield `function(item)` in order, from `workers` processes (None: one a processor).

    Processes are spawned, not forked: a fork of a process with PyTorch's threads can hang.

    Raises:
        SceneletError: the processes ended, as they do in a script without a main guard.
    """
    if workers == 1 or len(items) < INLINE:
        yield from map(function, items)
        return
    try:
        with processes(min(workers or cpu_count(), -(-len(items) // CHUNK))) as executor:
            yield from executor.map(function, items, chunksize=CHUNK)
    except BrokenProcessPool:
        raise SceneletError(
            "the worker processes ended unexpectedly; a script that calls scenelet needs its calls under"
            " `if __name__ == '__main__':`, and enough memory for one process a processor"
        ) from None


@contextlib.contextmanager
def processes(
    workers: int, prepare: Callable[[], object] | None = None
) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Spawned processes, which end with the block whatever they are at, and with this process whoever kills it.

    Args:
        workers: how many; all are started at once.
        prepare: is called in each before its work.
    """
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(workers, context, _begin, (prepare,))
    # As for a fork: all are there before anybody watches over them. Where one dies while another is being started, the
    # pool would end those that it knows, and wait for the new one for ever.
    executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
    try:
        yield executor
    finally:
        # after an interrupt they would first finish what they are at
        for process in list((executor._processes or {}).values()):
            process.kill()
        executor.shutdown(cancel_futures=True)


def _begin(prepare: Callable[[], object] | None) -> None:
    """In a worker: an interrupt is the driver's to take, and without a driver there is nobody to work for."""
    if prepare is not None:
        prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
