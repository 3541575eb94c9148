"""Processes: in order, and a clear sentence when they die."""

import math
import os

import pytest

from scenelet.errors import SceneletError
from scenelet.parallel import map_processes


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    assert list(map_processes(math.factorial, range(30), workers)) == [math.factorial(x) for x in range(30)]


def test_processes_that_die_have_one_sentence() -> None:
    with pytest.raises(SceneletError, match="__main__"):
        list(map_processes(os._exit, [1] * 20, 2))
