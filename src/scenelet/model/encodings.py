"""Number formats of stored arrays: fp32, fp16, and integers times a power of two per row.

An array in a `masked_` format may hold pruned weights; its zeros are stored as a mask. `scenelet.model.weights` turns
arrays in these formats into bytes.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import ModelFileError

Encoding = Literal["masked_fp16", "masked_int8", "fp16", "fp32"]
BYTES: dict[Encoding, int] = {"masked_fp16": 2, "masked_int8": 1, "fp16": 2, "fp32": 4}
"""Bytes that each kept parameter counts for."""
MASKED: tuple[Encoding, ...] = ("masked_fp16", "masked_int8")
"""Encodings of weights that may be pruned."""
MAX_INT8 = 127
MIN_EXPONENT, MAX_EXPONENT = -126, 127  # of all float32 numbers except subnormal ones

Array = NDArray[np.float32]


def stored_arrays(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> dict[str, Array]:
    """Round arrays as a file stores them: what `scenelet.model.weights` encodes and decodes, without compression.

    Raises:
        ModelFileError: as `scenelet.model.weights.encode_weights`.

    >>> arrays = {"w": np.float32([[0.1, -2.0]])}
    >>> stored_arrays(arrays, {"w": "masked_fp16"})["w"].tolist()
    [[0.0999755859375, -2.0]]
    """
    stored: dict[str, Array] = {}
    for name, array in arrays.items():
        _check_finite(name, array)
        if encodings[name] == "masked_int8":
            values, exponents = to_int8(name, array)
            stored[name] = np.ldexp(values.astype(np.float32), exponents[:, None]).reshape(array.shape)
            continue
        rounded = _rounded(name, array, encodings[name]).astype(np.float32)
        # a mask has no sign: a zero in a masked array comes back as +0.0
        stored[name] = rounded + np.float32(0) if encodings[name] in MASKED else rounded
    return stored


def to_int8(name: str, array: Array) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return int8 values (rows, n) and exponents (rows,) with array[i] = values[i] * 2.0 ** exponents[i].

    The exponent of a row is the largest for which all values are integers. It is 0 for a row of zeros.

    Args:
        name: the name of the array, for error messages.
        array: weights on an int8 grid.

    Raises:
        ModelFileError: a value or an exponent is out of range.

    >>> values, exponents = to_int8("w", np.float32([[0.5, -1.25], [0, 8]]))
    >>> values.tolist(), exponents.tolist()
    ([[2, -5], [0, 1]], [-2, 3])
    """
    rows = array.reshape(len(array), -1).astype(np.float64)
    fractions, powers = np.frexp(rows)
    integers = np.ldexp(np.abs(fractions), 24).astype(np.int64)  # float32 has 24 bits
    lowest_bits = np.frexp((integers & -integers).astype(np.float64))[1] - 1
    steps = np.where(rows == 0, np.iinfo(np.int32).max, powers - 24 + lowest_bits).min(axis=1)
    exponents = np.where((rows == 0).all(axis=1), 0, steps)
    values = np.ldexp(rows, -exponents[:, None])
    in_range = exponents.min() >= MIN_EXPONENT and exponents.max() <= MAX_EXPONENT
    if np.abs(values).max(initial=0) > MAX_INT8 or not in_range:
        raise ModelFileError(f"the array {name!r} does not fit int8; quantize it before it is stored")
    return values.astype(np.int8), exponents.astype(np.int8)


def entropy_bits(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> float:
    """Return the order-0 entropy of the masked arrays in bits. The compressed size is compared with this bound.

    The bound has a part for the mask, N H(p), and the entropy of the stored symbols. In fp16 the sign and exponent are
    one symbol and the fraction is another. In int8 each value and the exponent of each row is a symbol.

    >>> entropy_bits({"w": np.float32([[1, 2, 0, 0]])}, {"w": "masked_int8"})  # 1 bit per mask bit, 1 bit per value
    6.0
    """
    bits = 0.0
    for encoding in MASKED:
        chosen = {name: arrays[name] for name in arrays if encodings[name] == encoding}
        if not chosen:
            continue
        values, exponents = flatten(chosen, encoding)
        kept = values[values != 0]
        bits += _entropy_bits(values != 0)
        if encoding == "masked_int8":
            bits += _entropy_bits(kept) + _entropy_bits(exponents)
        else:
            stored = kept.view(np.uint16)
            bits += _entropy_bits(stored >> 10) + _entropy_bits(stored & 0x3FF)
    return bits


def flatten(arrays: Mapping[str, Array], encoding: Encoding) -> tuple[NDArray[np.number], NDArray[np.int8]]:
    """Concatenate all values in the number type of their encoding. Also return the exponents of their rows."""
    for name, array in arrays.items():
        _check_finite(name, array)
    if encoding == "masked_int8":
        pairs = [to_int8(name, array) for name, array in arrays.items()]
        values, exponents = zip(*pairs, strict=True)
        return np.concatenate([value.ravel() for value in values]), np.concatenate(exponents)
    rounded = [_rounded(name, array, encoding).ravel() for name, array in arrays.items()]
    return np.concatenate(rounded), np.zeros(0, np.int8)


def _check_finite(name: str, array: Array) -> None:
    if not np.isfinite(array).all():
        raise ModelFileError(f"the array {name!r} holds numbers that are not finite; the training diverged")


def _rounded(name: str, array: Array, encoding: Encoding) -> NDArray[np.floating]:
    """Return the array in the number type of a floating-point encoding, little-endian."""
    with np.errstate(over="ignore"):
        rounded = array.astype("<f4" if encoding == "fp32" else "<f2")
    if not np.isfinite(rounded).all():
        largest = float(np.abs(array).max())
        raise ModelFileError(f"the array {name!r} holds {largest:g}, too large for fp16 (65504); store it as fp32")
    return rounded


def _entropy_bits(symbols: NDArray[np.generic]) -> float:
    """Return the order-0 entropy of all symbols together, in bits."""
    counts = np.unique(symbols, return_counts=True)[1]
    return float(-(counts * np.log2(counts / max(1, len(symbols)))).sum())
