"""Engines, which distribute the shards of a job: processes of this machine, or Ray tasks on a cluster."""

import functools
import importlib
import logging
import os
import socket
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Literal, cast

from scenelet.bulk.worker import ShardResult, process_shard
from scenelet.errors import UsageError, WorkerError
from scenelet.utils.parallel import map_processes
from scenelet.utils.process import keep_freed_memory

EngineName = Literal["local", "ray"]
Engine = Callable[[str, str, Sequence[int], int | None], Generator[ShardResult, None, None]]
"""Function of (job folder, job hash, shards, workers) that yields a result per shard, in any order.

With `workers` None it uses all processors.
"""

CONNECT_TIMEOUT_SECONDS = 10.0
MAX_RETRIES = 3
"""Number of times that Ray restarts a task whose worker or node has died."""
MAX_TASK_SHARDS = 16
"""Shards per Ray task; more would leave some processors idle at the end, fewer would add pauses between tasks."""
MAX_TASKS = 4000
"""Limit above which tasks get more shards than `MAX_TASK_SHARDS`."""
OBJECT_STORE_BYTES = 100_000_000
"""Size of the object store of a local cluster, which holds shard numbers and results."""


def run_local(
    folder: str, job_hash: str, shards: Sequence[int], workers: int | None
) -> Generator[ShardResult, None, None]:
    """Process shards in processes of this machine; with one worker or one shard, in this process.

    Raises:
        WorkerError: a worker process has died.
    """
    process = functools.partial(process_shard, folder, job_hash)
    try:
        yield from map_processes(process, shards, workers, keep_freed_memory, in_order=False, min_items=2)
    except WorkerError as error:
        raise WorkerError(f"{folder}: {error}") from None


def run_ray(
    folder: str, job_hash: str, shards: Sequence[int], workers: int | None, max_retries: int = MAX_RETRIES
) -> Generator[ShardResult, None, None]:
    """Process shards as Ray Data tasks, on the cluster at `RAY_ADDRESS` or on a new one on this machine.

    A task uses one processor. If a worker or a node dies, Ray restarts its task elsewhere, up to `max_retries` times.
    The shards of a task that still fails are tried once more, in a task each. A shard that fails again has no result.
    Ray prints to stdout.

    Raises:
        UsageError: no cluster answers at `RAY_ADDRESS`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray.data

    is_connected = ray.is_initialized()
    if not is_connected:
        connect(workers)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size
    # a block size of 1 byte yields each result at once
    context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size = False, -1, 1
    try:
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
        remaining = set(shards)
        run_tasks = functools.partial(_run_tasks, folder, job_hash, workers=workers, max_retries=max_retries)
        for result in run_tasks(group_shards(shards, processors)):
            remaining.discard(result["shard"])
            yield result
        if len(remaining) < len(shards):
            yield from run_tasks([[shard] for shard in sorted(remaining)])
    finally:
        context.enable_progress_bars, context.max_errored_blocks, context.target_max_block_size = before
        if not is_connected:
            ray.shutdown()


def connect(workers: int | None) -> None:
    """Connect to the Ray cluster at `RAY_ADDRESS`, or start one on this machine.

    Args:
        workers: processors of a new cluster; None uses all.

    Raises:
        UsageError: no cluster answers at `RAY_ADDRESS`.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {"address": address}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "num_cpus": workers}
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal() and "/" not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT_SECONDS).close()
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"RAY_ADDRESS is {address}: no cluster answers there ({error}); start one, or unset it"
        ) from None


def group_shards(shards: Sequence[int], processors: int) -> list[Sequence[int]]:
    """Group shards into tasks: large ones first and small ones last, so that all processors finish together.

    A task takes half of a processor's fraction of the remaining shards (guided self-scheduling, Polychronopoulos and
    Kuck 1987).

    Examples:
        >>> [len(task) for task in group_shards(range(12), processors=2)]
        [3, 2, 1, 1, 1, 1, 1, 1, 1]
    """
    max_size = max(MAX_TASK_SHARDS, -(-len(shards) // MAX_TASKS))
    tasks, start = list[Sequence[int]](), 0
    while start < len(shards):
        size = min(max_size, max(1, (len(shards) - start) // (2 * processors)))
        tasks.append(shards[start : start + size])
        start += size
    return tasks


def _run_tasks(
    folder: str, job_hash: str, tasks: Sequence[Sequence[int]], workers: int | None, max_retries: int
) -> Generator[ShardResult, None, None]:
    if not tasks:
        return
    import ray.data

    rows = [{"shards": list(task)} for task in tasks]
    with warnings.catch_warnings():
        # The option that limits retries is deprecated. pyproject.toml excludes releases without it.
        warnings.filterwarnings("ignore", ".*ray_remote_args.*")
        items = ray.data.from_items(rows, override_num_blocks=len(rows))
        process = functools.partial(_process_task, folder, job_hash)
        results = items.map_batches(process, batch_size=1, num_cpus=1, concurrency=workers, max_retries=max_retries)
    for row in results.iter_rows():
        yield cast(ShardResult, row)


def _process_task(folder: str, job_hash: str, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Process the shards of one task; Ray passes and expects a dictionary of columns."""
    keep_freed_memory()
    (shards,) = batch["shards"]
    for shard in shards:
        yield {name: [value] for name, value in process_shard(folder, job_hash, int(shard)).items()}


def get_engine(name: EngineName) -> Engine:
    """Return the engine of this name.

    Raises:
        ModuleNotFoundError: Ray is not installed.

    Examples:
        >>> get_engine("local") is run_local
        True
    """
    if name == "ray":
        importlib.import_module("ray")
    return {"local": run_local, "ray": run_ray}[name]
