"""Ranges of values for int8: known optima, and ranges of a network's values."""

import numpy as np
import pytest

from helpers.tiny_model import Builder, model_of, tiny_model
from scenelet.export.fused import value_ranges as module
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.value_ranges import value_ranges
from scenelet.model.ops import INPUT


def best_range(numbers: np.ndarray) -> tuple[float, float]:
    low, high = float(numbers.min()), float(numbers.max())
    counts = module._histogram(numbers.astype(np.float32), low, high)
    assert counts.sum() == numbers.size
    return module._best_range(low, high, counts)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.0), (-2.0, 0.0)])
def test_best_range_of_uniform_numbers_is_the_full_range(low: float, high: float) -> None:
    """Limiting a share of uniform numbers costs more than a finer step gains."""
    assert best_range(np.linspace(low, high, 100_000)) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("constant", [5.0, -2.0, 0.0])
def test_best_range_of_a_constant_contains_it_and_zero(constant: float) -> None:
    assert best_range(np.full(1000, constant)) == (min(constant, 0.0), max(constant, 0.0))


def test_best_range_of_positive_numbers_starts_at_zero() -> None:
    assert best_range(np.linspace(2.0, 3.0, 1000))[0] == 0.0


def test_best_range_limits_a_rare_outlier() -> None:
    """Limit L has the error (10 - L)^2 / 10^6 + L^2 / 255^2 / 12, which is lowest at 4.4; 4.5 is tried."""
    low, high = best_range(np.append(np.linspace(0.0, 1.0, 1_000_000), 10.0))
    assert (low, high) == (0.0, pytest.approx(4.5))
    assert best_range(np.append(np.linspace(0.0, 1.0, 1000), 10.0))[1] == 10.0  # a frequent one stays


def test_value_ranges_of_a_known_map() -> None:
    """An affine map of a ramp from 0 to 1: all ranges are known."""
    net = Builder(np.random.default_rng(0), (1, 16, 13))
    net.scale_shift(16, channels=1)
    net.arrays["v0.scale"][:], net.arrays["v0.shift"][:] = -2.0, 0.5
    net.head(3, dense=False)
    model = model_of(net)
    ramp = np.linspace(0.0, 1.0, 16 * 13, dtype=np.float32).reshape(1, 16, 13)
    ranges = value_ranges(model, fuse(model).shapes, [0.5 * ramp, ramp])
    assert ranges[INPUT] == (0.0, 1.0)
    assert ranges["v0"] == pytest.approx((-1.5, 0.5))


def test_value_ranges_keeps_the_full_range_of_the_input() -> None:
    model = tiny_model()
    windows = [np.full(model.input_shape, -40, np.float32) for _ in range(3)]
    windows[1][0, 0, 0], windows[2][1, 2, 3] = 100, -200
    assert value_ranges(model, ["v2"], windows)[INPUT] == (-200.0, 100.0)
