"""Learning rates at the steps for which the definition gives a value."""

import itertools

import pytest

from scenelet.config import ScheduleConfig
from scenelet.config.recipes import load_recipe
from scenelet.training.schedule import learning_rate


def test_hold_decay_hold_follows_the_paper() -> None:
    schedule = load_recipe("paper").schedule
    assert (schedule.epochs, schedule.batch_size) == (350, 10)
    steps = 919

    def at(epoch: int) -> float:
        return learning_rate(schedule, epoch * steps, steps)

    assert at(0) == at(49) == at(50) == 1e-4
    assert at(150) == pytest.approx(1e-5)
    assert at(250) == at(349) == pytest.approx(1e-6)
    assert learning_rate(schedule, 60 * steps + steps - 1, steps) == at(60)


def test_linear_falls_evenly_to_the_minimum() -> None:
    schedule = ScheduleConfig(epochs=5, name="linear", learning_rate=1e-4, min_learning_rate=1e-6)
    rates = [learning_rate(schedule, step, 4) for step in range(20)]
    assert (rates[0], rates[-1]) == (1e-4, pytest.approx(1e-6))
    drops = [a - b for a, b in itertools.pairwise(rates)]
    assert drops == pytest.approx([drops[0]] * 19)


def test_one_cycle_rises_to_its_peak_and_falls() -> None:
    schedule = ScheduleConfig(
        epochs=10, name="one_cycle", learning_rate=1e-3, min_learning_rate=1e-6, warmup_fraction=0.3
    )
    rates = [learning_rate(schedule, step, 11) for step in range(110)]
    assert rates[0] == pytest.approx(1e-3 / 25)
    assert max(rates) == pytest.approx(1e-3, rel=1e-3)
    peak = rates.index(max(rates))
    assert peak == pytest.approx(0.3 * 109, abs=1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(1e-6)
