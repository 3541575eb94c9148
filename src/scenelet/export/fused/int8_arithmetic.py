"""Integer arithmetic of TensorFlow Lite: rescaling by fixed-point factors, and functions as tables.

Functions on arrays use int64, in which all intermediate results of 32-bit arithmetic are exact. Fixed-point numbers of
Q notation: a raw integer of 32 bits with n integer bits is the number raw / 2**(31 - n). See "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (Jacob et al., 2018), appendices A and B.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.fused.int8_network import Quantization

Integers = NDArray[np.int64]
INT8 = np.arange(-128, 128, dtype=np.int64)
INT32_MAX = 2**31 - 1
GATE = Quantization(1 / 256, -128)
"""Quantization of the result of a sigmoid and a softmax."""
SIGMOID_INTEGER_BITS = 4
SOFTMAX_INTEGER_BITS = 5
SUM_INTEGER_BITS = 12
"""Integer bits of a softmax's sum of exponentials."""
ADD_SHIFT = 20
"""Bits by which both terms of a sum are shifted to the left, for precision."""


@dataclass(frozen=True)
class Multiplier:
    """Real factor mantissa / 2**31 * 2**shift, with a mantissa of 31 bits."""

    mantissa: int
    shift: int


def multiplier(factor: float) -> Multiplier:
    """Return the nearest multiplier of a factor. A factor below 2**-32 is 0.

    >>> multiplier(0.75)
    Multiplier(mantissa=1610612736, shift=0)
    """
    fraction, shift = math.frexp(factor)
    mantissa = math.floor(fraction * 2**31 + 0.5)
    if mantissa == 2**31:
        mantissa, shift = 2**30, shift + 1
    return Multiplier(mantissa, shift) if shift >= -31 else Multiplier(0, 0)


def conv_multipliers(
    source: Quantization, steps: NDArray[np.float32], result: Quantization
) -> tuple[Integers, Integers]:
    """Return mantissas and shifts, in the shape of `steps`, that take a convolution's sums to its result.

    Args:
        source, result: quantization of the input and the result.
        steps: steps of the weights.
    """
    factors = source.step * steps.astype(np.float64) / result.step
    pairs = [multiplier(factor) for factor in factors.ravel().tolist()]
    mantissas, shifts = np.array([(pair.mantissa, pair.shift) for pair in pairs], np.int64).T
    return mantissas.reshape(steps.shape), shifts.reshape(steps.shape)


def rescale(numbers: Any, mantissas: Any, shifts: Any) -> Integers:
    """Multiply 32-bit integers by multipliers, and round twice as TensorFlow Lite does.

    >>> rescale([100, -101], 2**30, 0).tolist()
    [50, -50]
    """
    shifts = np.asarray(shifts, np.int64)
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    return rounded_shift(high_product(_wrap(np.asarray(numbers, np.int64) << left), mantissas), right)


def high_product(a: Any, b: Any) -> Integers:
    """Return a * b / 2**31, rounded half up. -2**31 squared is 2**31 - 1.

    >>> int(high_product(-(2**31), 2**30))
    -1073741824
    """
    product: Integers = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    rounded: Integers = (product + 2**30) >> 31
    return np.minimum(rounded, INT32_MAX)


def rounded_shift(numbers: Any, bits: Any) -> Integers:
    """Divide by 2**bits and round half away from zero.

    >>> rounded_shift([5, -5, 6], 1).tolist()
    [3, -3, 3]
    """
    numbers, bits = np.asarray(numbers, np.int64), np.asarray(bits, np.int64)
    half: Integers = (1 << bits) >> 1
    rounded: Integers = (numbers + half - ((numbers < 0) & (bits > 0))) >> bits
    return rounded


def to_int8(numbers: Integers, zero_point: int) -> NDArray[np.int8]:
    """Add the zero point and limit to int8."""
    return np.clip(numbers + zero_point, -128, 127).astype(np.int8)


def rescale_table(source: Quantization, result: Quantization) -> NDArray[np.int8]:
    """Return the integers of `result` for all 256 integers of `source`. With a zero point of -128 it is a ReLU.

    >>> rescale_table(Quantization(1.0, 0), Quantization(0.5, -128))[[0, 127, 128, 129]].tolist()
    [-128, -128, -128, -126]
    """
    factor = multiplier(source.step / result.step)
    return to_int8(rescale(INT8 - source.zero_point, factor.mantissa, factor.shift), result.zero_point)


def sigmoid_table(source: Quantization) -> NDArray[np.int8]:
    """Return 1 / (1 + exp(-x)) on the step of `GATE` for all 256 integers of `source`.

    >>> sigmoid_table(Quantization(0.05, 0))[[0, 128, 255]].tolist()
    [-128, 0, 127]
    """
    fraction, shift = math.frexp(source.step * 2 ** (31 - SIGMOID_INTEGER_BITS))
    numbers = INT8 - source.zero_point
    radius = _input_radius(SIGMOID_INTEGER_BITS, shift)
    inside = np.abs(numbers) < radius
    raw = rescale(np.where(inside, numbers, 0), math.floor(fraction * 2**31 + 0.5), shift)
    of_negative = one_over_one_plus(exp_of_negative(-np.abs(raw), SIGMOID_INTEGER_BITS))
    sigmoid = np.where(raw > 0, of_negative, INT32_MAX - of_negative)
    sigmoid = np.where(raw == 0, 2**30, sigmoid)
    limits = np.where(numbers > 0, 127, -128)
    return np.where(inside, to_int8(rounded_shift(sigmoid, 23), GATE.zero_point), limits).astype(np.int8)


def silu_table(source: Quantization, result: Quantization) -> NDArray[np.int8]:
    """Return x * sigmoid(x) for all 256 integers of `source`, with the sigmoid rounded to int8.

    >>> silu_table(Quantization(0.05, 0), Quantization(0.05, -122))[[0, 128, 255]].tolist()
    [-122, -122, 5]
    """
    factor = multiplier(source.step * GATE.step / result.step)
    gates = sigmoid_table(source).astype(np.int64) - GATE.zero_point
    return to_int8(rescale((INT8 - source.zero_point) * gates, factor.mantissa, factor.shift), result.zero_point)


def add_multipliers(a: Quantization, b: Quantization, result: Quantization) -> list[Multiplier]:
    """Return the multipliers of both terms, shifted left by `ADD_SHIFT`, and of their sum."""
    twice_larger = 2 * max(a.step, b.step)
    factors: list[float] = [a.step / twice_larger, b.step / twice_larger, twice_larger / (2**ADD_SHIFT * result.step)]
    return [multiplier(factor) for factor in factors]


def mean_multiplier(source: Quantization, count: int, result: Quantization) -> Multiplier:
    """Return the multiplier that takes the sum of `count` integers, without zero point, to their mean.

    >>> mean_multiplier(Quantization(1.0, 0), 3, Quantization(1.0, 0))
    Multiplier(mantissa=715827882, shift=0)
    """
    factor = multiplier(source.step / result.step)
    bits = min(count.bit_length() - 1, 31 + factor.shift)
    return Multiplier((factor.mantissa << bits) // count, factor.shift - bits)


def exp_table(source: Quantization) -> Integers:
    """Return exp(-step * n) for n from 0 to 255 as raw integers with 0 integer bits.

    The exponentials that TensorFlow Lite takes for 0 are 0.

    >>> (exp_table(Quantization(1.0, 0))[:3] / 2**31).round(4).tolist()
    [1.0, 0.3679, 0.1353]
    """
    factor = multiplier(min(source.step * 2 ** (31 - SOFTMAX_INTEGER_BITS), 2.0**31 - 1))
    numbers = -np.arange(256)
    inside = numbers >= -_input_radius(SOFTMAX_INTEGER_BITS, factor.shift)
    raw = rescale(np.where(inside, numbers, 0), factor.mantissa, factor.shift)
    return np.where(inside, exp_of_negative(raw, SOFTMAX_INTEGER_BITS), 0)


def softmax(logits: NDArray[np.int8], table: Integers) -> NDArray[np.int8]:
    """Return the probabilities of logits (classes,) on the step of `GATE`.

    Args:
        logits: integers.
        table: `exp_table` of their quantization.

    >>> softmax(np.int8([10, 10, 8]), exp_table(Quantization(1.0, 0))).tolist()
    [-8, -8, -112]
    """
    exponentials = table[logits.max().astype(np.int64) - logits]
    total = int(rounded_shift(exponentials, SUM_INTEGER_BITS).sum())
    headroom = 32 - total.bit_length()
    reciprocal = one_over_one_plus(np.array((total << headroom) - 2**31))
    bits = SUM_INTEGER_BITS - headroom + 31 - 8
    return to_int8(rounded_shift(high_product(reciprocal, exponentials), bits), GATE.zero_point)


def exp_of_negative(raw: Integers, integer_bits: int) -> Integers:
    """Return exp(x) of fixed-point numbers x <= 0, as raw integers with 0 integer bits.

    x is split into a rest in [-1/4, 0) and a multiple of 1/4. The rest's exponential is a Taylor polynomial around
    -1/8, and each bit of the multiple is a factor.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (raw & (quarter - 1)) - quarter
    x = (rest << integer_bits) + 2**28
    square = high_product(x, x)
    cube, fourth = high_product(square, x), high_product(square, square)
    thirds = high_product(rounded_shift(fourth, 2) + cube, round(2**31 / 3))
    polynomial = x + rounded_shift(thirds + square, 1)
    center = round(2**31 * math.exp(-1 / 8))
    result = center + high_product(center, polynomial)
    multiple = rest - raw
    for power in range(-2, integer_bits):
        factor = round(2**31 * math.exp(-(2.0**power)))
        bit = (multiple >> (fraction_bits + power)) & 1
        result = np.where(bit == 1, high_product(result, factor), result)
    return np.where(raw == 0, INT32_MAX, result)


def one_over_one_plus(raw: Integers) -> Integers:
    """Return 1 / (1 + x) of fixed-point numbers x in [0, 1], both with 0 integer bits, by Newton's method."""
    half_denominator = (raw + INT32_MAX + 1) >> 1
    x = round(2**29 * 48 / 17) + high_product(half_denominator, -round(2**29 * 32 / 17))
    for _ in range(3):
        error = 2**29 - high_product(half_denominator, x)
        x = x + _saturate(high_product(x, error) << 2)
    return _saturate(x << 1)


def _input_radius(integer_bits: int, shift: int) -> int:
    """Return the largest distance to the zero point that does not overflow `integer_bits` after a left shift."""
    return math.floor(float((2**integer_bits - 1) * 2 ** (31 - integer_bits)) / 2.0**shift)


def _saturate(numbers: Integers) -> Integers:
    return np.clip(numbers, -(2**31), INT32_MAX)


def _wrap(numbers: Integers) -> Integers:
    """Drop the bits beyond 32, as processors do."""
    return numbers.astype(np.int32).astype(np.int64)
