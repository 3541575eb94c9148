"""Weights as planes of bytes: how the arrays of a `.scn` file are stored.

The arrays of one encoding are laid end to end, and each plane of them is a section, coded on its own (`coding.py`):

    masked_fp16        mask: one bit a value, set where it is not zero in fp16, or gaps: how many zeros are before each
                       of those, whichever is shorter; high and low: the bytes of those values
    masked_int8        mask or gaps; values: whole numbers from -127 to 127, those that are not zero;
                       exponents: one for each row of each array, whose values are value * 2 ** exponent
    fp16               high, low
    fp32               planes: all lowest bytes first, all highest last

Gaps are bytes, 255 for 255 zeros and more to come, behind a u32 that says how many bytes they are. A row is what one
output channel of a layer is made with: `array[i]`.
"""

import math
import struct
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import ModelFileError
from scenelet.model.codec import compress_bytes, decompress_bytes

Encoding = Literal["masked_fp16", "masked_int8", "fp16", "fp32"]
BYTES: dict[Encoding, int] = {"masked_fp16": 2, "masked_int8": 1, "fp16": 2, "fp32": 4}
"""Bytes that a kept parameter counts for."""
MASKED: tuple[Encoding, ...] = ("masked_fp16", "masked_int8")
"""Encodings of weights that may be pruned."""
MAX_INT8 = 127
MORE = 255  # of a gap: so many zeros, and more to come
_SIZE = struct.Struct("<I")
EXPONENTS = (-126, 127)  # of every float32 but the denormal ones

Array = NDArray[np.float32]


def encode_weights(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> dict[str, bytes]:
    """Arrays -> the stored bytes of each section, in the order of the file.

    Raises:
        ModelFileError: an array holds a number that is not finite, too large for fp16, or for masked_int8
            not on a grid of 2 ** exponent times -127 to 127 in each row.
    """
    sections: dict[str, bytes] = {}
    for encoding in BYTES:
        chosen = {name: arrays[name] for name in arrays if encodings[name] == encoding}
        if not chosen:
            continue
        coded = {name: compress_bytes(plane) for name, plane in _planes(chosen, encoding).items()}
        if "mask" in coded:
            gaps = zero_run_lengths(chosen, encoding)
            shorter = _SIZE.pack(len(gaps)) + compress_bytes(gaps)
            if len(shorter) < len(coded["mask"]):
                coded = {("gaps" if name == "mask" else name): plane for name, plane in coded.items()}
                coded["gaps"] = shorter
        sections |= {f"{encoding}.{name}": plane for name, plane in coded.items()}
    return sections


def decode_weights(
    shapes: Mapping[str, tuple[int, ...]], encodings: Mapping[str, Encoding], lengths: Mapping[str, int], body: bytes
) -> dict[str, Array]:
    """The inverse of `encode_weights`: values come back as they were rounded.

    Args:
        shapes: of every array, in the order in which they were packed.
        encodings: of every array.
        lengths: stored bytes of each section.
        body: the sections, one after the other.

    Nothing is inflated beyond what the shapes need.

    Raises:
        ModelFileError: a section is missing, unknown or of the wrong size, or a value is not finite.
    """
    if sum(lengths.values()) != len(body):
        raise ModelFileError("its sections do not fill the file")
    sections = _Sections(lengths, body)
    arrays: dict[str, Array] = {}
    for encoding in BYTES:
        chosen = [name for name in shapes if encodings[name] == encoding]
        if not chosen:
            continue
        counts = [math.prod(shapes[name]) for name in chosen]
        values = _values(encoding, sum(counts), [shapes[name] for name in chosen], sections)
        if not np.isfinite(values).all():
            raise ModelFileError("an array holds numbers that are not finite")
        parts = np.split(values, np.cumsum(counts)[:-1])
        arrays |= {name: part.reshape(shapes[name]) for name, part in zip(chosen, parts, strict=True)}
    if sections.left:
        raise ModelFileError(f"the section {min(sections.left)!r} does not belong in it")
    return {name: arrays[name] for name in shapes}


def stored_arrays(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> dict[str, Array]:
    """Round arrays as a file stores them: the result of `encode_weights` and `decode_weights`, without compression.

    Raises:
        ModelFileError: as `encode_weights`.
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
    """Values and exponents of an array on an int8 grid: array[i] = values[i] * 2.0 ** exponents[i].

    The exponent is the largest for which all values are whole; of a row of zeros it is 0. `name` is for the error.

    Raises:
        ModelFileError: a value would be beyond -127 to 127, or its exponent beyond what is stored.
    """
    rows = array.reshape(len(array), -1).astype(np.float64)
    fractions, powers = np.frexp(rows)
    whole = np.ldexp(np.abs(fractions), 24).astype(np.int64)  # float32 has 24 bits
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1  # of a value's bits that are set
    steps = np.where(rows == 0, np.iinfo(np.int32).max, powers - 24 + lowest).min(axis=1)
    exponents = np.where((rows == 0).all(axis=1), 0, steps)
    values = np.ldexp(rows, -exponents[:, None])
    low, high = EXPONENTS
    if np.abs(values).max(initial=0) > MAX_INT8 or exponents.min() < low or exponents.max() > high:
        raise ModelFileError(f"the array {name!r} does not fit int8; quantise it before it is stored")
    return values.astype(np.int8), exponents.astype(np.int8)


def entropy_bits(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> float:
    """Bits that the masked arrays need at least, coded value by value: what their sections are measured against.

    The mask at N H(p); then the order-0 entropy of what is stored of the kept ones: in fp16 sign and exponent as one
    symbol and the fraction as another, in int8 the values, and the exponents of the rows.
    """
    bits = 0.0
    for encoding in MASKED:
        chosen = {name: arrays[name] for name in arrays if encodings[name] == encoding}
        if not chosen:
            continue
        values, exponents = _flat(chosen, encoding)
        kept = values[values != 0]
        bits += _entropy_bits(values != 0)
        if encoding == "masked_int8":
            bits += _entropy_bits(kept) + _entropy_bits(exponents)
        else:
            stored = kept.view(np.uint16)
            bits += _entropy_bits(stored >> 10) + _entropy_bits(stored & 0x3FF)
    return bits


class _Sections:
    """The stored sections, each of which is taken once, in the order of the file."""

    def __init__(self, lengths: Mapping[str, int], body: bytes) -> None:
        self.left = dict(lengths)
        self._body, self._offset = body, 0

    def take(self, name: str, size: int) -> bytes:
        """Inflate the next section to exactly `size` bytes."""
        if name not in self.left:
            raise ModelFileError(f"the section {name!r} is missing")
        return decompress_bytes(self._next(name), size)

    def take_sized(self, name: str, most: int) -> bytes:
        """Inflate the next section to as many bytes as it says, not above `most`."""
        stored = self._next(name)
        size = _SIZE.unpack_from(stored)[0] if len(stored) > _SIZE.size else most + 1
        if size > most:
            raise ModelFileError(f"the section {name!r} is longer than it can be")
        return decompress_bytes(stored[_SIZE.size :], size)

    def _next(self, name: str) -> bytes:
        start, self._offset = self._offset, self._offset + self.left.pop(name)
        return self._body[start : self._offset]


def _planes(arrays: Mapping[str, Array], encoding: Encoding) -> dict[str, bytes]:
    """The planes of the arrays of one encoding, by name, before they are coded."""
    values, exponents = _flat(arrays, encoding)
    if encoding == "fp32":
        return {"planes": _split(values.tobytes(), 4)}
    planes: dict[str, bytes] = {}
    if encoding in MASKED:
        planes["mask"] = np.packbits(values != 0).tobytes()
        values = values[values != 0]
    if encoding == "masked_int8":
        return planes | {"values": values.tobytes(), "exponents": exponents.tobytes()}
    halves = _split(values.tobytes(), 2)
    return planes | {"high": halves[values.size :], "low": halves[: values.size]}


def _flat(arrays: Mapping[str, Array], encoding: Encoding) -> tuple[NDArray[np.number], NDArray[np.int8]]:
    """All values of some arrays in their encoding's own type, end to end, and the exponents of their rows."""
    for name, array in arrays.items():
        _check_finite(name, array)
    if encoding == "masked_int8":
        pairs = [to_int8(name, array) for name, array in arrays.items()]
        values, exponents = zip(*pairs, strict=True)
        return np.concatenate([one.ravel() for one in values]), np.concatenate(exponents)
    rounded = [_rounded(name, array, encoding).ravel() for name, array in arrays.items()]
    return np.concatenate(rounded), np.zeros(0, np.int8)


def _check_finite(name: str, array: Array) -> None:
    if not np.isfinite(array).all():
        raise ModelFileError(f"the array {name!r} holds numbers that are not finite; the training diverged")


def _values(encoding: Encoding, count: int, shapes: list[tuple[int, ...]], sections: _Sections) -> Array:
    """All values of one encoding (count,), of arrays of these shapes."""
    if encoding == "fp32":
        return np.frombuffer(_join(sections.take("fp32.planes", 4 * count), 4), "<f4").astype(np.float32)
    if encoding == "fp16":
        return _halves(encoding, count, sections)
    kept = _kept(encoding, count, sections)
    values = np.zeros(count, np.float32)
    if encoding == "masked_fp16":
        values[kept] = _halves(encoding, int(kept.sum()), sections)
        return values
    values[kept] = np.frombuffer(sections.take("masked_int8.values", int(kept.sum())), np.int8)
    rows = [(shape[0], math.prod(shape[1:])) for shape in shapes]
    exponents = np.frombuffer(sections.take("masked_int8.exponents", sum(n for n, _ in rows)), np.int8)
    if exponents.min() < EXPONENTS[0] or exponents.max() > EXPONENTS[1]:
        raise ModelFileError("an exponent of an int8 array is out of range")
    lengths = np.concatenate([np.full(n, length) for n, length in rows])
    with np.errstate(over="ignore"):  # what is infinite is refused by the model
        return np.ldexp(values, np.repeat(exponents, lengths))


def _kept(encoding: Encoding, count: int, sections: _Sections) -> NDArray[np.bool_]:
    """(count,) which values are stored, from their mask or from the gaps between them."""
    if f"{encoding}.gaps" not in sections.left:
        bits = np.frombuffer(sections.take(f"{encoding}.mask", (count + 7) // 8), np.uint8)
        return np.unpackbits(bits, count=count).astype(bool)
    gaps = np.frombuffer(sections.take_sized(f"{encoding}.gaps", count + count // MORE + 1), np.uint8)
    ends = gaps < MORE
    places = np.cumsum(gaps, dtype=np.int64)[ends] + np.arange(int(ends.sum()))
    if (len(gaps) and not ends[-1]) or (len(places) and places[-1] >= count):
        raise ModelFileError("the gaps between its weights do not fit their number")
    kept = np.zeros(count, bool)
    kept[places] = True
    return kept


def zero_run_lengths(arrays: Mapping[str, Array], encoding: Encoding) -> bytes:
    """The gaps before each value that is not zero; see the top of this file."""
    places = np.flatnonzero(_flat(arrays, encoding)[0])
    gaps = np.diff(places, prepend=-1) - 1
    lengths = gaps // MORE + 1
    stored = np.full(int(lengths.sum()), MORE, np.uint8)
    stored[np.cumsum(lengths) - 1] = gaps % MORE
    return stored.tobytes()


def _halves(encoding: Encoding, count: int, sections: _Sections) -> Array:
    """The two byte planes of `count` fp16 numbers -> float32."""
    high = sections.take(f"{encoding}.high", count)
    low = sections.take(f"{encoding}.low", count)
    return np.frombuffer(_join(low + high, 2), "<f2").astype(np.float32)


def _rounded(name: str, array: Array, encoding: Encoding) -> NDArray[np.floating]:
    """The array in its encoding's own type, little-endian."""
    with np.errstate(over="ignore"):
        rounded = array.astype("<f4" if encoding == "fp32" else "<f2")
    if not np.isfinite(rounded).all():
        largest = float(np.abs(array).max())
        raise ModelFileError(f"the array {name!r} holds {largest:g}, too large for fp16 (65504); store it as fp32")
    return rounded


def _entropy_bits(symbols: NDArray[np.generic]) -> float:
    """Bits that these symbols take by their order-0 entropy, all of them together."""
    counts = np.unique(symbols, return_counts=True)[1]
    return float(-(counts * np.log2(counts / max(1, len(symbols)))).sum())


def _split(data: bytes, width: int) -> bytes:
    """Numbers of `width` bytes -> all their first bytes, then all their second ones, and so on."""
    return np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()


def _join(data: bytes, width: int) -> bytes:
    """The inverse of `_split`."""
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
