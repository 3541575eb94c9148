"""Threads and processes: results in order, errors passed on, no hang, and a clear error when a process dies."""

import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import loky
import psutil
import pytest

from helpers.processes import run_python, start_python
from scenelet.errors import WorkerError
from scenelet.utils import parallel
from scenelet.utils.parallel import Chunks, cpu_count, map_processes, map_threads, parallel_map

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has neither fork nor SIGKILL")


@pytest.mark.parametrize("workers", [1, 2])
def test_map_processes_keeps_the_order(workers: int) -> None:
    assert list(map_processes(math.factorial, range(30), workers)) == [math.factorial(x) for x in range(30)]


def test_map_processes_yields_early_results_first(tmp_path: Path) -> None:
    def wait_for_the_second(item: int) -> int:
        while item == 0 and not (tmp_path / "1").exists():
            time.sleep(0.01)
        return item

    results = map_processes(wait_for_the_second, range(2), 2, in_order=False, min_items=2)
    first = next(results)
    (tmp_path / "1").touch()
    assert [first, *results] == [1, 0]


class CountedItems(Sequence[int]):
    """Items that count how many of them were taken."""

    taken = 0

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: Any) -> Any:
        self.taken = index + 1
        return index


@pytest.mark.parametrize("in_order", [True, False])
def test_map_processes_pauses_with_its_consumer(in_order: bool) -> None:
    items = CountedItems()
    results = map_processes(abs, items, 2, in_order=in_order)
    for _ in range(3):
        next(results)
    assert items.taken <= 10
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("max_chunk", [1, 8])
def test_map_processes_passes_errors_on(max_chunk: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_processes((1).__truediv__, [1] * 40 + [0], 2, max_chunk=max_chunk))


@pytest.mark.parametrize("in_order", [True, False])
def test_map_processes_sends_short_items_in_chunks(monkeypatch: pytest.MonkeyPatch, in_order: bool) -> None:
    monkeypatch.setattr(parallel, "CHUNK_SECONDS", 1000.0)
    sent, submit = [], loky.ProcessPoolExecutor.submit

    def count(executor: Any, function: Any, *arguments: Any) -> Any:
        sent.append(arguments)
        return submit(executor, function, *arguments)

    monkeypatch.setattr(loky.ProcessPoolExecutor, "submit", count)
    found = list(map_processes(abs, range(-300, 0), 2, in_order=in_order, max_chunk=16))
    assert sorted(found, reverse=True) == list(range(300, 0, -1))
    assert not in_order or found == list(range(300, 0, -1))
    assert len(sent) < 60


def test_chunks_grow_while_they_are_short() -> None:
    chunks = Chunks(range(100), max_size=8)
    sizes = []
    for seconds in (0.001, 0.001, 0.001, 0.001, 0.001, 0.4, 0.4, 10.0, 0.04):
        chunk = next(chunks)
        sizes.append(len(chunk))
        chunks.adapt(len(chunk), seconds)
    assert sizes == [1, 2, 4, 8, 8, 8, 1, 1, 1]
    assert [item for chunk in chunks for item in chunk] == list(range(sum(sizes), 100))


def test_map_processes_reports_dead_workers() -> None:
    with pytest.raises(WorkerError, match="a worker process died: it was killed, ran out of memory"):
        list(map_processes(os._exit, [1] * 20, 2))


def test_map_processes_reports_a_worker_that_dies_during_start(tmp_path: Path) -> None:
    """Python's own pool waits forever for a worker that it starts after the first one has died."""
    script = """
import os, sys
from pathlib import Path
from scenelet.utils.parallel import map_processes

def die_once():
    try:
        os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os._exit(1)

list(map_processes(bytes, [200_000] * 20, 2, prepare=die_once))  # more than a pipe holds
"""
    done = run_python(tmp_path, script, str(tmp_path / "died"))
    assert done.stderr.splitlines()[-1].startswith("scenelet.errors.WorkerError: a worker process died")


WORKING_PARENT = """
import os, sys, time
from pathlib import Path
from scenelet.utils.parallel import map_processes

def work(item):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(1000)

list(map_processes(work, range(100_000), 2))
"""


@POSIX
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_map_processes_workers_end_with_their_parent(tmp_path: Path, sent: str) -> None:
    (tmp_path / "parent.py").write_text(WORKING_PARENT)
    (tmp_path / "workers").mkdir()
    command = str(tmp_path / "parent.py"), str(tmp_path / "workers")
    with (tmp_path / "stderr").open("w") as stderr:
        parent = start_python(*command, stderr=stderr, start_new_session=True)
    while len(list((tmp_path / "workers").iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    children = psutil.Process(parent.pid).children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT) if sent == "SIGINT" else parent.send_signal(signal.Signals[sent])
    parent.wait(60)  # an item takes longer
    _, alive = psutil.wait_procs(children, timeout=60)
    for process in alive:
        process.kill()
    assert len(children) >= 2
    assert not alive
    interrupted = (tmp_path / "stderr").read_text().count("KeyboardInterrupt")
    assert interrupted == (sent == "SIGINT")  # the parent's only


def test_map_processes_needs_no_main_guard(tmp_path: Path) -> None:
    """A spawned process of Python's own pool would run the script again."""
    script = """
from scenelet.utils.parallel import map_processes
print("once")
offset = 10
def add(item): return item + offset
print(sum(map_processes(add, range(20), 2)), sum(map_processes(lambda item: item + offset, range(20), 2)))
"""
    assert run_python(tmp_path, script).stdout == "once\n390 390\n"


@POSIX
def test_maps_work_in_a_process_forked_after_use(tmp_path: Path) -> None:
    """A forked process inherits the pool of threads, but not the threads."""
    script = """
import multiprocessing, os
from scenelet.utils.parallel import map_processes, parallel_map

def work(item):
    return parallel_map(abs, [-item, -2], threads=2), sum(map_processes(abs, range(-20, 0), 2))

print(work(1))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(work, [3, 4]))
child = os.fork()
if child == 0:
    print(work(5))
else:
    os.waitpid(child, 0)
"""
    assert run_python(tmp_path, script).stdout.splitlines() == [
        "([1, 2], 210)",
        "[([3, 2], 210), ([4, 2], 210)]",
        "([5, 2], 210)",
    ]


@pytest.mark.parametrize("failing", ["__init__", "submit"])
def test_map_processes_works_alone_if_none_can_start(
    failing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")  # as for semaphores without /dev/shm

    monkeypatch.setattr(loky.ProcessPoolExecutor, failing, fail)
    assert list(map_processes(abs, range(-20, 0), 2)) == list(range(20, 0, -1))
    assert "no worker process can be started" in capsys.readouterr().err
    assert len(multiprocessing.active_children()) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has cgroups")
def test_cpu_count_respects_the_quota_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    original_open, original_exists = open, os.path.exists

    def inside(path: Any) -> Any:
        return tmp_path / "cpu.max" if path == "/sys/fs/cgroup/cpu.max" else path

    monkeypatch.setattr("builtins.open", lambda path, *options, **more: original_open(inside(path), *options, **more))
    monkeypatch.setattr(os.path, "exists", lambda path: original_exists(inside(path)))
    assert cpu_count() == 3


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
