"""Threads and processes: in order, errors passed on, and a clear sentence when processes die."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scenelet.errors import SceneletError
from scenelet.utils.parallel import map_processes, map_threads, parallel_map


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    assert list(map_processes(math.factorial, range(30), workers)) == [math.factorial(x) for x in range(30)]


def test_processes_that_die_have_one_sentence() -> None:
    with pytest.raises(SceneletError, match="__main__"):
        list(map_processes(os._exit, [1] * 20, 2))


def test_processes_end_with_their_driver(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(
        "import time\n"
        "from scenelet.utils.parallel import map_processes\n"
        "if __name__ == '__main__':\n"
        "    list(map_processes(time.sleep, [0.01] * 100_000, 2))\n"
    )
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py")])
    while len(workers := psutil.Process(driver.pid).children(recursive=True)) < 3:  # and a tracker of theirs
        assert driver.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)  # they begin to work
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def test_a_process_that_dies_while_another_is_started_is_no_end_of_waiting(tmp_path: Path) -> None:
    """Python's pool ends the processes that it knows, and then waits for all: also for one that it did not know yet."""
    (tmp_path / "driver.py").write_text(
        "import time\n"
        "from multiprocessing.context import SpawnProcess\n"
        "from scenelet.errors import SceneletError\n"
        "from scenelet.utils.parallel import map_processes\n"
        "started, start = [], SpawnProcess.start\n"
        "def slowly(self):\n"
        "    if started:\n"
        "        started[0].join()\n"
        "        time.sleep(0.5)\n"
        "    start(self)\n"
        "    started.append(self)\n"
        "    started[0].kill()\n"
        "SpawnProcess.start = slowly\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        list(map_processes(bytes, [200_000] * 20, 2))\n"  # more than a pipe holds
        "    except SceneletError as error:\n"
        "        print(error)\n"
    )
    command = [sys.executable, str(tmp_path / "driver.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "ended unexpectedly" in done.stdout


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_results_in_order(threads: int) -> None:
    expected = [math.factorial(x) for x in range(30)]
    assert list(map_threads(math.factorial, iter(range(30)), threads)) == expected
    assert parallel_map(math.factorial, range(30), threads) == expected
    assert parallel_map(math.factorial, [], threads) == []


def test_only_so_many_items_are_under_way() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            asked.append(item)
            yield item

    results = map_threads(abs, items(), 2)
    assert next(results) == 0
    assert len(asked) <= 4
    results.close()  # the caller has had enough
    assert len(asked) <= 4


@pytest.mark.parametrize(
    "way", [lambda f, items: list(map_threads(f, items, 2)), lambda f, items: parallel_map(f, items, 2)]
)
def test_an_error_in_a_thread_is_the_callers(way) -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        way(fail, list(range(10)))
