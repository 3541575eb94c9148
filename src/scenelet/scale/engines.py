"""Who does the shards: processes of this machine, or Ray's tasks on a cluster. Both yield reports as they come."""

import concurrent.futures
import functools
import importlib
import itertools
import logging
import multiprocessing
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, cast

from scenelet.errors import OutputError, UsageError
from scenelet.parallel import cores
from scenelet.process import keep_freed_memory
from scenelet.scale.work import Report, do_shard

EngineName = Literal["local", "ray"]
Engine = Callable[[str, str, Sequence[int], int | None], Generator[Report, None, None]]
"""(job's folder and fingerprint, shards, workers or None for all processors) -> a report a shard."""

CONNECT_SECONDS = 10.0
RETRIES = 3
"""How often a task of Ray's is begun again whose worker or node has died."""
TOGETHER, BLOCKS = 4, 4000
"""Shards of a task of Ray's, between which a worker waits for some tenths of a second; and tasks at most."""
OBJECT_STORE = 100_000_000
"""Bytes for a cluster of our own: it holds numbers of shards and reports."""


def local(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Generator[Report, None, None]:
    """In processes of this machine; with one worker or one shard in this process.

    Raises:
        OutputError: a process has died.
    """
    work = functools.partial(do_shard, place, fingerprint)
    workers = min(workers or cores(), len(shards))
    if workers == 1:
        yield from map(work, shards)
        return
    others = set(multiprocessing.active_children())
    context, waiting = multiprocessing.get_context("spawn"), set[Future[Report]]()
    executor = ProcessPoolExecutor(workers, context, initializer=_end_with_driver)
    coming = iter(shards)
    try:
        while True:
            # few at a time, so that the list of what is to be done need not be in memory twice
            waiting |= {executor.submit(work, shard) for shard in itertools.islice(coming, 2 * workers - len(waiting))}
            if not waiting:
                return
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise OutputError(
            f"{place}: a worker process has died (killed, or out of memory; a script that calls scenelet needs its"
            " calls under `if __name__ == '__main__':`); the same command goes on"
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()  # after an interrupt they would first finish their parts; half parts are no loss
        executor.shutdown(cancel_futures=True)


def _end_with_driver() -> None:
    """In a worker: an interrupt is the driver's to take, and without a driver there is nobody to work for."""
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def ray(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Generator[Report, None, None]:
    """As tasks of Ray Data, on the cluster that `RAY_ADDRESS` names, else on one of our own on this machine.

    A task takes one processor. Where a worker or a node dies, Ray gives its tasks to others; a task whose workers die
    three times more is left out, and its shards' reports are missing. Ray prints to stdout.

    Raises:
        UsageError: nobody answers at `RAY_ADDRESS`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that somebody works
    import ray.data

    began = not ray.is_initialized()
    if began:
        _connect(workers)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.max_errored_blocks
    context.enable_progress_bars, context.max_errored_blocks = False, -1
    try:
        with warnings.catch_warnings():
            # the way to limit retries; releases that have no longer got it are kept out by pyproject.toml
            warnings.filterwarnings("ignore", ".*ray_remote_args.*")
            processors = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
            blocks = tasks(len(shards), max(1, processors))
            items = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=blocks)
            work = functools.partial(_do_batch, place, fingerprint)
            done = items.map_batches(work, batch_size=1, num_cpus=1, concurrency=workers, max_retries=RETRIES)
        for row in done.iter_rows():
            yield cast(Report, row)
    finally:
        context.enable_progress_bars, context.max_errored_blocks = before
        if began:
            ray.shutdown()


def _connect(workers: int | None) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "num_cpus": workers}
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal() and "/" not in host:  # Ray itself asks for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"RAY_ADDRESS is {address}: no cluster answers there ({error}); start one, or unset it"
        ) from None


def tasks(shards: int, processors: int) -> int:
    """How many tasks are made of so many shards: of several each, but several for each processor.

    So all processors end at about the same time.
    """
    together = min(TOGETHER, max(1, shards // (TOGETHER * processors)))
    return min(-(-shards // together), BLOCKS)


def _do_batch(place: str, fingerprint: str, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch is one shard. From values by column to the same, as Ray wants it."""
    keep_freed_memory()
    (shard,) = batch["shard"]
    return {name: [value] for name, value in do_shard(place, fingerprint, int(shard)).items()}


def by_name(name: EngineName) -> Engine:
    """The engine of a name. Raises ModuleNotFoundError where Ray is not installed."""
    if name == "ray":
        importlib.import_module("ray")
    return {"local": local, "ray": ray}[name]
