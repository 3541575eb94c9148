"""A function applied to many items, in threads or in processes.

Threads suit NumPy and similar libraries, which release the interpreter while they compute.
"""

import concurrent.futures
import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Generic, TypeVar

from scenelet.errors import WorkerError
from scenelet.utils.console import print_warning

if TYPE_CHECKING:
    import loky

Item = TypeVar("Item")
Result = TypeVar("Result")

MIN_PROCESS_ITEMS = 8
"""Minimum number of items for which processes are started. For fewer, starting them costs more than they save."""
CHUNKS_PER_WORKER = 4
"""Number of chunks per worker process that are waiting, in work or finished but not yet taken."""
CHUNK_SECONDS = 0.05
"""Time that a process should take for a chunk. Sending one and its results takes about a millisecond."""
WORKER_ENVIRONMENT = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e15", "PYTHONFAULTHANDLER": ""}
"""Variables of worker processes. loky would restart a worker that keeps freed memory, and print dumps of its stack."""


def cpu_count() -> int:
    """Return the number of CPUs that this process may use, from its affinity mask and the CPU quota of its container.

    >>> cpu_count() >= 1
    True
    """
    import loky

    return int(loky.cpu_count())


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


# Without psutil and `pgrep`, loky kills a process without looking for its children. Ours have none.
warnings.filterwarnings("ignore", "Failed to kill subprocesses on this platform", UserWarning)
if hasattr(os, "register_at_fork"):
    # a forked process inherits the pool without its threads
    os.register_at_fork(after_in_child=_thread_pool.cache_clear)


def map_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `function(item)` in order, from `threads` threads; at most twice as many items are taken in advance.

    >>> list(map_threads(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    with concurrent.futures.ThreadPoolExecutor(threads, "scenelet-map") as executor:
        try:
            yield from _bounded_map(executor, function, items, 2 * threads)
        finally:  # the caller stopped early, or an item failed
            executor.shutdown(cancel_futures=True)


def map_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None,
    prepare: Callable[[], object] | None = None,
    in_order: bool = True,
    min_items: int = MIN_PROCESS_ITEMS,
    max_chunk: int = 1,
) -> Iterator[Result]:
    """Yield `function(item)` for each item, from `workers` new processes.

    The processes neither inherit this process's threads nor run its script again, so a script needs no main guard. They
    end with this generator, after an interrupt, and when this process dies. If the caller pauses, they pause too. With
    one worker, with few items, or where no process can be started, this process does the work.

    Args:
        function: a function that can be pickled, or a function of the script.
        items: its arguments.
        workers: the number of processes; None: one per CPU.
        prepare: called in each process before its work.
        in_order: yield in the order of `items`; otherwise, as soon as a result is there.
        min_items: the number of items from which processes are started.
        max_chunk: maximum number of items that a process takes at once. Chunks grow up to it while a process needs
            less than `CHUNK_SECONDS` for one. If an item fails, the results of its chunk are lost.

    Raises:
        WorkerError: a process died.

    >>> list(map_processes(abs, [-1, 2, -3], workers=1))
    [1, 2, 3]
    """
    workers = min(workers or cpu_count(), len(items))
    if workers <= 1 or len(items) < min_items or multiprocessing.current_process().daemon:
        yield from map(function, items)  # a daemonic process, e.g. of `multiprocessing.Pool`, may not have children
        return
    try:
        with _process_pool(workers, prepare) as executor:
            if executor is None:
                yield from map(function, items)
                return
            chunks = Chunks(items, max_chunk)
            work = functools.partial(_map_chunk, function)
            for results, seconds in _bounded_map(executor, work, chunks, CHUNKS_PER_WORKER * workers, in_order):
                chunks.adapt(len(results), seconds)
                yield from results
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process died: it was killed, ran out of memory, or crashed in a library;"
            " repeat the command, with fewer workers if memory is short"
        ) from None


class Chunks(Generic[Item]):
    """Chunks of items, the first ones of one item. They grow while one takes less than `CHUNK_SECONDS`.

    Args:
        items: the items.
        max_size: maximum number of items of a chunk.

    >>> chunks = Chunks("abcdefgh", max_size=3)
    >>> first = next(chunks)
    >>> chunks.adapt(1, seconds=0.001)
    >>> first, next(chunks)
    (['a'], ['b', 'c'])
    """

    def __init__(self, items: Iterable[Item], max_size: int) -> None:
        self._items, self._size, self._max_size = iter(items), 1, max_size

    def __iter__(self) -> Iterator[list[Item]]:
        return self

    def __next__(self) -> list[Item]:
        if chunk := list(itertools.islice(self._items, self._size)):
            return chunk
        raise StopIteration

    def adapt(self, length: int, seconds: float) -> None:
        """Choose the size of the next chunks from what a chunk of `length` items took. It at most doubles."""
        fitting = int(CHUNK_SECONDS * length / max(seconds, 1e-6))
        self._size = max(1, min(fitting, 2 * self._size, self._max_size))


def _map_chunk(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[list[Result], float]:
    """Return `function(item)` of each item, and the seconds that they took together."""
    started = time.perf_counter()
    return list(map(function, items)), time.perf_counter() - started


def _bounded_map(
    executor: concurrent.futures.Executor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    limit: int,
    in_order: bool = True,
) -> Iterator[Result]:
    """Yield results from an executor that never has more than `limit` items which the caller has not taken."""
    iterator = iter(items)
    submitted: list[concurrent.futures.Future[Result]] = []
    while True:
        submitted += [executor.submit(function, item) for item in itertools.islice(iterator, limit - len(submitted))]
        if not submitted:
            return
        first = submitted[0] if in_order else next(concurrent.futures.as_completed(submitted))
        submitted.remove(first)
        yield first.result()


@contextlib.contextmanager
def _process_pool(workers: int, prepare: Callable[[], object] | None) -> Iterator["loky.ProcessPoolExecutor | None"]:
    """Start processes, which end with the block; yield None and say why if the system does not allow that."""
    import loky

    reader, writer = multiprocessing.Pipe(duplex=False)
    with reader, writer, contextlib.ExitStack() as stack:
        executor = None
        try:
            executor = loky.ProcessPoolExecutor(
                workers, initializer=_begin, initargs=(reader, prepare), env=WORKER_ENVIRONMENT
            )
            # after an interrupt the processes would finish their items first
            stack.callback(executor.shutdown, kill_workers=True)
            executor.submit(int)  # starts all processes
        except (ImportError, OSError, RuntimeError) as error:  # e.g. no shared memory, or a limit of processes
            print_warning(f"no worker process can be started ({error}); the work continues in this process alone")
            executor = None
        yield executor


def _begin(parent: Connection, prepare: Callable[[], object] | None) -> None:
    """Prepare a worker: its parent handles Ctrl-C, and the worker ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv_bytes()  # the parent sends nothing: the system closes the pipe
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if prepare is not None:
        prepare()
