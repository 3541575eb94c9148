"""Who does the shards: processes of this machine, or Ray's tasks on a cluster. Both yield reports as they come."""

import contextlib
import functools
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, cast

from scenelet.parallel import map_processes
from scenelet.scale.work import Report, do_shard

EngineName = Literal["local", "ray"]
Engine = Callable[[str, str, Sequence[int], int | None], Iterator[Report]]
"""(job's folder and fingerprint, shards, workers or None for all processors) -> a report a shard."""

BLOCKS = 4000
"""Tasks that Ray is given at most: with more shards a task does several."""
OBJECT_STORE = 100_000_000
"""Bytes for a cluster of our own: it holds numbers of shards and reports."""


def local(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Iterator[Report]:
    """In processes of this machine."""
    return map_processes(functools.partial(do_shard, place, fingerprint), shards, workers, chunk=1)


def ray(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Iterator[Report]:
    """As tasks of Ray Data, on the cluster that `RAY_ADDRESS` names, else on one of our own on this machine.

    A task takes one processor. Where a worker or a node dies, Ray gives its tasks to others; a task whose workers die
    three times more is left out, and its shards' reports are missing.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that somebody works
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints there what its machines say; results are ours alone
        yield from _on_ray(place, fingerprint, shards, workers)


def _on_ray(place: str, fingerprint: str, shards: Sequence[int], workers: int | None) -> Iterator[Report]:
    import ray.data

    began = not ray.is_initialized()
    if began:
        options: dict[str, Any] = {"address": os.environ.get("RAY_ADDRESS", "local")}
        if options["address"] == "local":
            options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "num_cpus": workers}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    try:
        items = ray.data.from_items(
            [{"shard": shard} for shard in shards], override_num_blocks=min(len(shards), BLOCKS)
        )
        work = functools.partial(_do_batch, place, fingerprint)
        done = items.map_batches(work, batch_size=1, num_cpus=1, concurrency=workers)
        for row in done.iter_rows():
            yield cast(Report, row)
    finally:
        if began:
            ray.shutdown()


def _do_batch(place: str, fingerprint: str, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch is one shard. From values by column to the same, as Ray wants it."""
    (shard,) = batch["shard"]
    return {name: [value] for name, value in do_shard(place, fingerprint, int(shard)).items()}


def by_name(name: EngineName) -> Engine:
    """The engine of a name. Raises ModuleNotFoundError where Ray is not installed."""
    if name == "ray":
        importlib.import_module("ray")
    return {"local": local, "ray": ray}[name]
