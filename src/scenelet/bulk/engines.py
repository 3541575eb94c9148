"""Who does the shards: processes of this machine, or Ray's tasks on a cluster. Both yield reports as they come."""

import concurrent.futures
import functools
import importlib
import itertools
import logging
import os
import socket
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, cast

from scenelet.bulk.worker import ShardResult, process_shard
from scenelet.errors import OutputError, UsageError
from scenelet.utils.parallel import cpu_count, processes
from scenelet.utils.process import keep_freed_memory

EngineName = Literal["local", "ray"]
Engine = Callable[[str, str, Sequence[int], int | None], Generator[ShardResult, None, None]]
"""(job's folder and fingerprint, shards, workers or None for all processors) -> a report a shard."""

CONNECT_SECONDS = 10.0
RETRIES = 3
"""How often a task of Ray's is begun again whose worker or node has died."""
TOGETHER, TASKS = 16, 4000
"""Shards of a task of Ray's at most, for between tasks a worker waits; more of them where tasks would be too many."""
OBJECT_STORE_BYTES = 100_000_000
"""Bytes for a cluster of our own: it holds numbers of shards and reports."""


def local(
    place: str, fingerprint: str, shards: Sequence[int], workers: int | None
) -> Generator[ShardResult, None, None]:
    """In processes of this machine; with one worker or one shard in this process.

    Raises:
        OutputError: a process has died.
    """
    work = functools.partial(process_shard, place, fingerprint)
    workers = min(workers or cpu_count(), len(shards))
    if workers == 1:
        yield from map(work, shards)
        return
    coming, waiting = iter(shards), set[Future[ShardResult]]()
    try:
        with processes(workers, keep_freed_memory) as executor:
            while True:
                # few at a time, so that the list of what is to be done need not be in memory twice
                more = itertools.islice(coming, 2 * workers - len(waiting))
                waiting |= {executor.submit(work, shard) for shard in more}
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


def ray(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Generator[ShardResult, None, None]:
    """As tasks of Ray Data, on the cluster that `RAY_ADDRESS` names, else on one of our own on this machine.

    A task takes one processor. Where a worker or a node dies, Ray gives its tasks to others. What a task leaves undone
    whose workers die three times more is tried once more, a shard a task; reports of what is left then are missing.
    Ray prints to stdout.

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
    before = context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size
    # a report is handed on as soon as it is there
    context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size = False, -1, 1
    try:
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        left = set(shards)
        for report in _as_tasks(place, fingerprint, tasks(shards, processors), workers):
            left.discard(report["shard"])
            yield report
        if len(left) < len(shards):
            yield from _as_tasks(place, fingerprint, [[shard] for shard in sorted(left)], workers)
    finally:
        context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size = before
        if began:
            ray.shutdown()


def _connect(workers: int | None) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "num_cpus": workers}
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal() and "/" not in host:  # Ray itself asks for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"RAY_ADDRESS is {address}: no cluster answers there ({error}); start one, or unset it"
        ) from None


def tasks(shards: Sequence[int], processors: int) -> list[Sequence[int]]:
    """The shards of each task: many at first, one at the end, so that all processors end at about the same time.

    A task is half of a processor's share of what is left (guided self-scheduling, Polychronopoulos and Kuck 1987).
    """
    most, found, start = max(TOGETHER, -(-len(shards) // TASKS)), list[Sequence[int]](), 0
    while start < len(shards):
        size = min(most, max(1, (len(shards) - start) // (2 * processors)))
        found.append(shards[start : start + size])
        start += size
    return found


def _as_tasks(
    place: str, fingerprint: str, groups: Sequence[Sequence[int]], workers: int | None
) -> Generator[ShardResult, None, None]:
    """Reports of the shards of each group, which is a task."""
    if not groups:
        return
    import ray.data

    rows = [{"shards": list(group)} for group in groups]
    with warnings.catch_warnings():
        # the way to limit retries; releases that have no longer got it are kept out by pyproject.toml
        warnings.filterwarnings("ignore", ".*ray_remote_args.*")
        items = ray.data.from_items(rows, override_num_blocks=len(rows))
        work = functools.partial(_do_task, place, fingerprint)
        done = items.map_batches(work, batch_size=1, num_cpus=1, concurrency=workers, max_retries=RETRIES)
    for row in done.iter_rows():
        yield cast(ShardResult, row)


def _do_task(place: str, fingerprint: str, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A batch is one task. From values by column to the same, as Ray wants it."""
    keep_freed_memory()
    (shards,) = batch["shards"]
    for shard in shards:
        yield {name: [value] for name, value in process_shard(place, fingerprint, int(shard)).items()}


def get_engine(name: EngineName) -> Engine:
    """The engine of a name. Raises ModuleNotFoundError where Ray is not installed."""
    if name == "ray":
        importlib.import_module("ray")
    return {"local": local, "ray": ray}[name]
