"""Grouping of shards, and the Ray engine: the same parts as the local one, even if a worker dies.

The deaths of nodes and drivers are in `benchmarks/speed/bulk_engines.py`, which takes minutes.
"""

import contextlib
import functools
import heapq
import json
import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.archives import Archive, make_archive, part_bytes, write_manifest
from helpers.processes import start_scenelet
from scenelet.bulk import engines, run
from scenelet.errors import OutputError, UsageError


@given(st.integers(1, 2000), st.integers(1, 50))
def test_group_shards_processors_finish_together(count: int, processors: int) -> None:
    shards = range(3, 3 + count)
    tasks = engines.group_shards(shards, processors)
    assert [shard for task in tasks for shard in task] == list(shards)
    load = [0] * processors
    for task in tasks:
        heapq.heappush(load, heapq.heappop(load) + len(task))
    assert max(load) <= count / processors + 1


def test_group_shards_sizes_decrease() -> None:
    assert [len(task) for task in engines.group_shards(range(32), 2)] == [8, 6, 4, 3, 2, 2] + 7 * [1]
    assert [len(task) for task in engines.group_shards(range(118), 2)][:6] == [16, 16, 16, 16, 13, 10]
    sizes = [len(task) for task in engines.group_shards(range(10**6), 100)]
    assert max(sizes) == 250
    assert len(sizes) < 6000


def test_connect_unreachable_cluster_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS is 127\.0\.0\.1:1: no cluster answers there"):
        engines.connect(workers=1)


def find_busy_worker() -> psutil.Process | None:
    """Find a worker of the cluster that has a task: Ray puts the task into the title of the process."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::MapBatches" in " ".join(process.cmdline()):
                return process
    return None


@pytest.mark.slow
def test_ray_killed_worker_is_replaced(model: str, archive: Archive, tmp_path: Path, ray_cluster: str) -> None:
    """The command prints only its summary to stdout, whatever Ray prints."""
    long = archive.manifest.with_name("long.csv")
    write_manifest(long, 60 * archive.names)
    run.predict(model, str(long), str(tmp_path / "local"), shard_size=100)
    expected = part_bytes(tmp_path / "local")
    command = ["predict", model, str(long), "--out", str(tmp_path / "ray"), "--engine", "ray", "--workers", "2"]
    driver = start_scenelet(
        *command,
        *("--shard-size", "100", "--format", "json"),
        env={**os.environ, "RAY_ADDRESS": ray_cluster},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        while not (part_bytes(tmp_path / "ray") and (worker := find_busy_worker())):
            assert driver.poll() is None
            time.sleep(0.01)
        worker.kill()
        parts_before_kill = len(part_bytes(tmp_path / "ray"))
        out, err = driver.communicate()
    finally:
        driver.kill()
    assert driver.returncode == 0, err.decode()
    assert parts_before_kill < len(expected)
    assert part_bytes(tmp_path / "ray") == expected
    summary = json.loads(out)
    assert (summary["inputs"], summary["errors"]) == (60 * len(archive.names), 60 * len(archive.invalid))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::ResourceWarning")  # Ray's own
@pytest.mark.usefixtures("ray_cluster")
def test_ray_only_shard_that_kills_workers_is_missing(model: str, tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    (tmp_path / "clips/deadly.wav").write_bytes((tmp_path / "clips/0.wav").read_bytes())
    first, *others = archive.valid_names[:12]
    write_manifest(archive.manifest, [first, "clips/deadly.wav", *others])  # in the first task, which has several
    without_retries = functools.partial(engines.run_ray, max_retries=0)
    out = str(tmp_path / "out")
    with pytest.raises(OutputError, match=r"1 of 13 parts could not be written \(their workers died repeatedly"):
        run.predict(model, str(archive.manifest), out, engine=without_retries, workers=1, shard_size=1)
    assert [int(name.split("-")[1]) for name in sorted(part_bytes(tmp_path / "out"))] == [0, *range(2, 13)]
