"""Threads and processes: results in order, errors passed on, and a clear error when processes die."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scenelet.errors import SceneletError
from scenelet.utils.parallel import map_processes, map_threads, parallel_map


@pytest.mark.parametrize("workers", [1, 2])
def test_map_processes_keeps_the_order(workers: int) -> None:
    assert list(map_processes(math.factorial, range(30), workers)) == [math.factorial(x) for x in range(30)]


def test_map_processes_reports_dead_workers() -> None:
    with pytest.raises(SceneletError, match="__main__"):
        list(map_processes(os._exit, [1] * 20, 2))


WORKING_PARENT = """
import os, sys, time
from pathlib import Path
from scenelet.utils.parallel import map_processes

def work(item):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(0.01)

if __name__ == "__main__":
    list(map_processes(work, range(100_000), 2))
"""


def test_map_processes_workers_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(WORKING_PARENT)
    (tmp_path / "workers").mkdir()
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "workers")])
    while len(list((tmp_path / "workers").iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    for process in alive:
        process.kill()
    assert len(children) >= 2
    assert not alive


DYING_WORKER = """
import time
from multiprocessing.context import SpawnProcess
from scenelet.errors import SceneletError
from scenelet.utils.parallel import map_processes

started, start = [], SpawnProcess.start

def start_after_the_first_died(self):
    if started:
        started[0].join()
        time.sleep(0.5)
    start(self)
    started.append(self)
    started[0].kill()

SpawnProcess.start = start_after_the_first_died
if __name__ == "__main__":
    try:
        list(map_processes(bytes, [200_000] * 20, 2))  # more than a pipe holds
    except SceneletError as error:
        print(error)
"""


def test_map_processes_ends_if_one_dies_during_start(tmp_path: Path) -> None:
    """Python's pool would end the processes that it knows, and wait forever for one that it does not know yet."""
    (tmp_path / "parent.py").write_text(DYING_WORKER)
    command = [sys.executable, str(tmp_path / "parent.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "ended unexpectedly" in done.stdout


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_thread_maps_keep_the_order(threads: int) -> None:
    expected = [math.factorial(x) for x in range(30)]
    assert list(map_threads(math.factorial, iter(range(30)), threads)) == expected
    assert parallel_map(math.factorial, range(30), threads) == expected
    assert parallel_map(math.factorial, [], threads) == []


def test_map_threads_takes_few_items_in_advance() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = map_threads(abs, items(), 2)
    assert next(results) == 0
    assert len(taken) <= 4
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 4


@pytest.mark.parametrize(
    "apply",
    [lambda function, items: list(map_threads(function, items, 2)), lambda f, items: parallel_map(f, items, 2)],
    ids=["map_threads", "parallel_map"],
)
def test_thread_maps_pass_errors_on(apply: Callable[..., list[int]]) -> None:
    def fail_at_three(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        apply(fail_at_three, list(range(10)))
