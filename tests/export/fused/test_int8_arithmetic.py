"""Integer arithmetic: tables and rounding equal the operators of tflite-micro and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.micro import quantized_tensor, require_micro, run_micro
from scenelet.export.fused.int8_arithmetic import (
    GATE,
    INT8,
    add_multipliers,
    exp_table,
    high_product,
    multiplier,
    rescale_table,
    rounded_shift,
    sigmoid_table,
    silu_table,
    softmax,
)
from scenelet.export.fused.int8_network import Quantization, quantization
from scenelet.export.tflite.graph import Graph

INT32 = st.integers(-(2**31), 2**31 - 1)
STEPS = np.float32([0.0005, 0.003, 0.0117, 0.02, 0.031, 0.0625, 0.094, 0.11, 0.25, 0.4, 1.0, 3.0]).tolist()


def quantizations(seed: int) -> list[Quantization]:
    generator = np.random.default_rng(seed)
    return [Quantization(step, int(generator.integers(-128, 128))) for step in STEPS]


def one_operator(kind: str, source: Quantization, result: Quantization) -> np.ndarray:
    """Run an operator on all 256 integers."""
    graph = Graph()
    x = quantized_tensor(graph, "x", (1, 1, 1, 256), source)
    y = graph.apply(kind, [x], "y", (1, 1, 1, 256), step=result.step, zero_point=result.zero_point)
    return run_micro(graph, y, INT8.astype(np.int8).reshape(1, 1, 1, 256))[0].ravel()


@given(INT32, INT32)
def test_high_product_rounds_half_up(a: int, b: int) -> None:
    assert high_product(a, b) == min((Fraction(a * b, 2**31) + Fraction(1, 2)).__floor__(), 2**31 - 1)


@given(INT32, st.integers(0, 31))
def test_rounded_shift_rounds_half_away_from_zero(number: int, bits: int) -> None:
    nearest = (abs(Fraction(number, 2**bits)) + Fraction(1, 2)).__floor__()
    assert rounded_shift(number, bits) == (nearest if number >= 0 else -nearest)


@given(st.floats(2.0**-30, 2.0**20))
def test_a_multiplier_is_the_nearest_with_31_bits(factor: float) -> None:
    found = multiplier(factor)
    assert 2**30 <= found.mantissa < 2**31
    assert abs(found.mantissa * 2.0 ** (found.shift - 31) / factor - 1) <= 2.0**-31


@pytest.mark.parametrize("source", quantizations(0))
def test_sigmoid_equals_micro(source: Quantization) -> None:
    require_micro()
    np.testing.assert_array_equal(sigmoid_table(source), one_operator("LOGISTIC", source, GATE))


@pytest.mark.parametrize("source", quantizations(1))
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.7])
def test_rescaling_equals_micros_relu(source: Quantization, ratio: float) -> None:
    require_micro()
    result = Quantization(float(np.float32(source.step * ratio)), -128)
    np.testing.assert_array_equal(rescale_table(source, result), one_operator("RELU", source, result))


@pytest.mark.parametrize("source", quantizations(2))
def test_silu_equals_micros_sigmoid_and_product(source: Quantization) -> None:
    require_micro()
    result = quantization(-0.3, 0.8 * source.step * (127 - source.zero_point))
    graph = Graph()
    x = quantized_tensor(graph, "x", (1, 1, 1, 256), source)
    gate = graph.apply("LOGISTIC", [x], "gate", (1, 1, 1, 256), step=GATE.step, zero_point=GATE.zero_point)
    y = graph.apply("MUL", [x, gate], "y", (1, 1, 1, 256), step=result.step, zero_point=result.zero_point)
    micro = run_micro(graph, y, INT8.astype(np.int8).reshape(1, 1, 1, 256))[0].ravel()
    np.testing.assert_array_equal(silu_table(source, result), micro)


@pytest.mark.parametrize("source", quantizations(3))
@pytest.mark.parametrize("classes", [2, 10, 200])
def test_softmax_equals_micro(source: Quantization, classes: int) -> None:
    require_micro()
    logits = np.random.default_rng(classes).integers(-128, 128, classes).astype(np.int8)
    graph = Graph()
    x = quantized_tensor(graph, "x", (1, classes), source)
    y = graph.apply("SOFTMAX", [x], "y", (1, classes), step=GATE.step, zero_point=GATE.zero_point, Beta=1.0)
    micro = run_micro(graph, y, logits[None])[0][0]
    np.testing.assert_array_equal(softmax(logits, exp_table(source)), micro)


def test_the_multipliers_of_a_sum_keep_its_terms_in_proportion() -> None:
    a, b, result = Quantization(0.25, 0), Quantization(0.5, 3), Quantization(0.75, -7)
    of_a, of_b, of_sum = [m.mantissa * 2.0 ** (m.shift - 31) for m in add_multipliers(a, b, result)]
    assert of_a * of_sum * 2**20 * result.step == pytest.approx(a.step)
    assert of_b * of_sum * 2**20 * result.step == pytest.approx(b.step)
