"""Threads and processes: in order, errors passed on, and a clear sentence when processes die."""

import math
import os
from collections.abc import Iterator

import pytest

from scenelet.errors import SceneletError
from scenelet.parallel import map_processes, map_threads, spread


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    assert list(map_processes(math.factorial, range(30), workers)) == [math.factorial(x) for x in range(30)]


def test_processes_that_die_have_one_sentence() -> None:
    with pytest.raises(SceneletError, match="__main__"):
        list(map_processes(os._exit, [1] * 20, 2))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_results_in_order(threads: int) -> None:
    expected = [math.factorial(x) for x in range(30)]
    assert list(map_threads(math.factorial, iter(range(30)), threads)) == expected
    assert spread(math.factorial, range(30), threads) == expected
    assert spread(math.factorial, [], threads) == []


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


@pytest.mark.parametrize("way", [lambda f, items: list(map_threads(f, items, 2)), lambda f, items: spread(f, items, 2)])
def test_an_error_in_a_thread_is_the_callers(way) -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        way(fail, list(range(10)))
