"""A function over many files, in several processes."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from scenelet.errors import SceneletError

Item = TypeVar("Item")
Result = TypeVar("Result")

INLINE = 8  # below this, starting processes costs more than they save
CHUNK = 4  # items sent to a process at once


def map_processes(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None) -> Iterator[Result]:
    """Yield `function(item)` in order, from `workers` processes (None: one a processor).

    Processes are spawned, not forked: a fork of a process with PyTorch's threads can hang.

    Raises:
        SceneletError: the processes ended, as they do in a script without a main guard.
    """
    if workers == 1 or len(items) < INLINE:
        yield from map(function, items)
        return
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
        try:
            yield from executor.map(function, items, chunksize=CHUNK)
        except BrokenProcessPool:
            raise SceneletError(
                "the worker processes ended unexpectedly; a script that calls scenelet needs its calls under"
                " `if __name__ == '__main__':`, and enough memory for one process a processor"
            ) from None
        finally:
            executor.shutdown(cancel_futures=True)
