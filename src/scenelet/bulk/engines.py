"""Engines, which distribute the shards of a job: processes of this machine, or Ray tasks on a cluster."""

import contextlib
import importlib
import itertools
import logging
import os
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

from scenelet.bulk.urls import error_reason
from scenelet.bulk.worker import ShardResult
from scenelet.errors import OutputError, UsageError, missing_extra
from scenelet.utils.parallel import map_processes
from scenelet.utils.process import keep_freed_memory

EngineName = Literal["local", "ray"]
ProcessShard = Callable[[int], ShardResult]
"""Function that writes the part of a shard; it can be sent to another process."""
Engine = Callable[[ProcessShard, Sequence[int], int | None], Generator[ShardResult, None, None]]
"""Function of (process, shards, workers) that yields a result per shard, in any order; `workers` None uses all."""

CONNECT_TIMEOUT_SECONDS = 10.0
MAX_RETRIES = 3
"""Number of times that Ray restarts a task whose worker or node has died."""
TASKS_PER_PROCESSOR = 2
"""Tasks that are submitted for each processor, so that none waits for the next one."""
OBJECT_STORE_BYTES = 100_000_000
"""Size of the object store of a local cluster, which holds results."""


def run_local(process: ProcessShard, shards: Sequence[int], workers: int | None) -> Generator[ShardResult, None, None]:
    """Process shards in processes of this machine; with one worker or one shard, in this process."""
    yield from map_processes(process, shards, workers, keep_freed_memory, in_order=False, min_items=2)


def run_ray(
    process: ProcessShard, shards: Sequence[int], workers: int | None, max_retries: int = MAX_RETRIES
) -> Generator[ShardResult, None, None]:
    """Process shards as Ray tasks, on the cluster at `RAY_ADDRESS` or on a new one on this machine.

    A task takes one processor. If a worker or a node dies, Ray restarts its task elsewhere, up to `max_retries` times.
    After that the shard has an error. Ray prints to stdout.

    Raises:
        UsageError: no cluster answers at `RAY_ADDRESS`.
        OutputError: Ray itself fails.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    is_connected = ray.is_initialized()
    if not is_connected:
        connect(workers)

    @ray.remote(num_cpus=1, max_retries=max_retries)
    def task(shard: int) -> ShardResult:
        keep_freed_memory()
        return process(shard)

    remaining = iter(shards)
    running: dict[Any, int] = {}
    try:
        while True:
            limit = workers or TASKS_PER_PROCESSOR * int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
            for shard in itertools.islice(remaining, max(1, limit) - len(running)):
                running[task.remote(shard)] = shard
            if not running:
                return
            (done, *_), _ = ray.wait(list(running))
            yield _get_result(done, running.pop(done))
    except ray.exceptions.RayError as error:
        raise OutputError(f"Ray: {error_reason(error)}; run the same command again to resume") from None
    finally:
        with contextlib.suppress(ray.exceptions.RayError):
            for future in running:
                ray.cancel(future, force=True)
        if not is_connected:
            ray.shutdown()


def connect(workers: int | None) -> None:
    """Connect to the Ray cluster at `RAY_ADDRESS`, or start one on this machine with some or (None) all processors."""
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
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise UsageError(
            f"RAY_ADDRESS is {address}: no cluster answers there ({error_reason(error)}); start one, or unset it"
        ) from None


def _get_result(future: Any, shard: int) -> ShardResult:
    """Return the result of a task, or one with the reason why there is none."""
    import ray

    try:
        return ray.get(future)  # type: ignore[no-any-return]
    except ray.exceptions.RayTaskError as error:  # its text is the traceback of the worker
        reason = f"a worker failed ({type(error.cause).__name__}: {error_reason(error.cause)})"
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError):
        reason = "their workers died repeatedly; check that there is enough memory"
    return ShardResult(shard, "", 0, error=reason)


def get_engine(name: EngineName) -> Engine:
    """Return the engine of this name; raise MissingExtraError if Ray is not installed.

    Examples:
        >>> get_engine("local") is run_local
        True
    """
    if name == "local":
        return run_local
    try:
        importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None
    return run_ray
