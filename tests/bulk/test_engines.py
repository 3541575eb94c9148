"""Engines: the Ray engine gives the same parts as the local one, even if a worker dies.

The deaths of nodes and drivers are in `benchmarks/speed/bulk_engines.py`, which takes minutes.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers.archives import Archive, make_archive, part_bytes, write_manifest
from helpers.processes import start_scenelet
from scenelet.bulk import engines, run
from scenelet.bulk.worker import ShardResult
from scenelet.errors import MissingExtraError, OutputError, UsageError


def test_get_engine_without_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "scenelet\[ray\]"') as caught:
        engines.get_engine("ray")
    assert caught.value.exit_code == 1


def test_connect_unreachable_cluster_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"RAY_ADDRESS is 127\.0\.0\.1:1: no cluster answers there"):
        engines.connect(workers=1)


def find_busy_worker() -> psutil.Process | None:
    """Find a worker of the cluster that has a task: Ray puts the task into the title of the process."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::task" in " ".join(process.cmdline()):
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
    assert b"Traceback" not in err
    assert b"raylet" not in err  # Ray reports the death on stdout
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
    first, second, *others = archive.valid_names[:12]
    write_manifest(archive.manifest, [first, second, "clips/deadly.wav", *others])  # no probe
    without_retries = functools.partial(engines.run_ray, max_retries=0)
    out = str(tmp_path / "out")
    with pytest.raises(OutputError, match=r"1 of 13 parts could not be written \(their workers died repeatedly"):
        run.predict(model, str(archive.manifest), out, engine=without_retries, workers=1, shard_size=1)
    assert [int(name.split("-")[1]) for name in sorted(part_bytes(tmp_path / "out"))] == [0, 1, *range(3, 13)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::ResourceWarning")  # Ray's own
@pytest.mark.usefixtures("ray_cluster")
def test_ray_exception_is_one_line() -> None:
    """The text of Ray's error is the traceback of the worker."""

    def fail(shard: int) -> ShardResult:
        if shard == 1:
            raise ZeroDivisionError("first line\nsecond line")
        return ShardResult(shard, "worker", 1)

    results = {result.shard: result for result in engines.run_ray(fail, range(5), workers=2)}
    assert results[1].error == "a worker failed (ZeroDivisionError: first line)"
    assert [results[shard].error for shard in (0, 2, 3, 4)] == [""] * 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::ResourceWarning")  # Ray's own
@pytest.mark.usefixtures("ray_cluster")
def test_ray_submits_few_tasks_at_a_time(tmp_path: Path) -> None:
    """A consumer that pauses stops the work, so results do not pile up."""

    def process(shard: int) -> ShardResult:
        (tmp_path / str(shard)).touch()
        return ShardResult(shard, "worker", 1)

    results = engines.run_ray(process, range(1000), workers=None)
    next(results)
    time.sleep(1)
    begun = len(list(tmp_path.iterdir()))
    results.close()
    assert 1 <= begun <= 1 + engines.TASKS_PER_PROCESSOR * 2


def test_ray_failure_of_ray_itself_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def fail(*_: object, **__: object) -> None:
        raise ray.exceptions.RaySystemError("first line\nsecond line")

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", fail)
    with pytest.raises(OutputError, match=r"^Ray: System error: first line; run the same command again to resume$"):
        list(engines.run_ray(abs, range(3), None))
