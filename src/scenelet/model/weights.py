"""Storage of weights as planes of bytes.

All arrays of one encoding are concatenated. Each plane of the result is a section of the file, which is compressed
separately (`scenelet.model.codec`). Encodings are the formats of `scenelet.model.encodings`:

    masked_fp16        mask: one bit per value, set if it is not zero in fp16; or gaps: how many zeros precede each
                       non-zero value; the shorter of both. high and low: the bytes of the non-zero values
    masked_int8        mask or gaps; values: the non-zero integers from -127 to 127;
                       exponents: one per row of each array, whose values are value * 2 ** exponent
    fp16               high, low
    fp32               planes: all lowest bytes first, all highest bytes last

A gap is a byte. 255 stands for 255 zeros, and the next byte continues. A u32 before the gaps holds their size in bytes.
A row is `array[i]`, the weights of one output channel.
"""

import math
import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import ModelFileError
from scenelet.model.codec import compress_bytes, decompress_bytes
from scenelet.model.encodings import BYTES, MASKED, MAX_EXPONENT, MIN_EXPONENT, Array, Encoding, flatten

MAX_GAP = 255  # the value of a gap byte that the next byte continues
_SIZE = struct.Struct("<I")


def encode_weights(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> dict[str, bytes]:
    """Return the compressed bytes of each section by name, in the order of the file.

    Raises:
        ModelFileError: an array holds a number that is not finite or too large for fp16. A masked_int8 array holds a
            number that is not an integer from -127 to 127 times the power of two of its row.
    """
    sections: dict[str, bytes] = {}
    for encoding in BYTES:
        chosen = {name: arrays[name] for name in arrays if encodings[name] == encoding}
        if not chosen:
            continue
        compressed = {name: compress_bytes(plane) for name, plane in _planes(chosen, encoding).items()}
        if "mask" in compressed:
            gaps = zero_run_lengths(chosen, encoding)
            compressed_gaps = _SIZE.pack(len(gaps)) + compress_bytes(gaps)
            if len(compressed_gaps) < len(compressed["mask"]):
                compressed = {("gaps" if name == "mask" else name): data for name, data in compressed.items()}
                compressed["gaps"] = compressed_gaps
        sections |= {f"{encoding}.{name}": data for name, data in compressed.items()}
    return sections


def decode_weights(
    shapes: Mapping[str, tuple[int, ...]], encodings: Mapping[str, Encoding], lengths: Mapping[str, int], body: bytes
) -> dict[str, Array]:
    """Invert `encode_weights`. Values come back as `scenelet.model.encodings.stored_arrays` rounds them.

    Nothing is decompressed beyond the size that the shapes imply.

    Args:
        shapes: the shape of every array, in the order in which the arrays were encoded.
        encodings: the encoding of every array.
        lengths: the compressed bytes of each section.
        body: the sections, one after the other.

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


def zero_run_lengths(arrays: Mapping[str, Array], encoding: Encoding) -> bytes:
    """Return the gaps of zeros before each non-zero value, as the module docstring describes them.

    >>> list(zero_run_lengths({"w": np.float32([[0, 0, 5, 6, 0, 7, 0]])}, "masked_fp16"))
    [2, 0, 1]
    """
    positions = np.flatnonzero(flatten(arrays, encoding)[0])
    gaps = np.diff(positions, prepend=-1) - 1
    lengths = gaps // MAX_GAP + 1
    stored = np.full(int(lengths.sum()), MAX_GAP, np.uint8)
    stored[np.cumsum(lengths) - 1] = gaps % MAX_GAP
    return stored.tobytes()


class _Sections:
    """The compressed sections of a file. Each is taken once, in the order of the file."""

    def __init__(self, lengths: Mapping[str, int], body: bytes) -> None:
        self.left = dict(lengths)
        self._body, self._offset = body, 0

    def take(self, name: str, size: int) -> bytes:
        """Decompress the next section, which must have exactly `size` bytes."""
        if name not in self.left:
            raise ModelFileError(f"the section {name!r} is missing")
        return decompress_bytes(self._next(name), size)

    def take_sized(self, name: str, max_size: int) -> bytes:
        """Decompress the next section, which begins with its size, a u32 of at most `max_size`."""
        stored = self._next(name)
        size = _SIZE.unpack_from(stored)[0] if len(stored) > _SIZE.size else max_size + 1
        if size > max_size:
            raise ModelFileError(f"the section {name!r} is longer than it can be")
        return decompress_bytes(stored[_SIZE.size :], size)

    def _next(self, name: str) -> bytes:
        start, self._offset = self._offset, self._offset + self.left.pop(name)
        return self._body[start : self._offset]


def _planes(arrays: Mapping[str, Array], encoding: Encoding) -> dict[str, bytes]:
    """Return the uncompressed planes of the arrays of one encoding by name."""
    values, exponents = flatten(arrays, encoding)
    if encoding == "fp32":
        return {"planes": _split_bytes(values.tobytes(), 4)}
    planes: dict[str, bytes] = {}
    if encoding in MASKED:
        planes["mask"] = np.packbits(values != 0).tobytes()
        values = values[values != 0]
    if encoding == "masked_int8":
        return planes | {"values": values.tobytes(), "exponents": exponents.tobytes()}
    halves = _split_bytes(values.tobytes(), 2)
    return planes | {"high": halves[values.size :], "low": halves[: values.size]}


def _values(encoding: Encoding, count: int, shapes: list[tuple[int, ...]], sections: _Sections) -> Array:
    """Return all values (count,) of one encoding, from the sections of arrays of these shapes."""
    if encoding == "fp32":
        return np.frombuffer(_join_bytes(sections.take("fp32.planes", 4 * count), 4), "<f4").astype(np.float32)
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
    if exponents.min() < MIN_EXPONENT or exponents.max() > MAX_EXPONENT:
        raise ModelFileError("an exponent of an int8 array is out of range")
    lengths = np.concatenate([np.full(n, length) for n, length in rows])
    with np.errstate(over="ignore"):  # `decode_weights` refuses infinite values
        return np.ldexp(values, np.repeat(exponents, lengths))


def _kept(encoding: Encoding, count: int, sections: _Sections) -> NDArray[np.bool_]:
    """Return which values are stored (count,), from the mask or from the gaps between them."""
    if f"{encoding}.gaps" not in sections.left:
        bits = np.frombuffer(sections.take(f"{encoding}.mask", (count + 7) // 8), np.uint8)
        return np.unpackbits(bits, count=count).astype(bool)
    gaps = np.frombuffer(sections.take_sized(f"{encoding}.gaps", count + count // MAX_GAP + 1), np.uint8)
    ends = gaps < MAX_GAP
    positions = np.cumsum(gaps, dtype=np.int64)[ends] + np.arange(int(ends.sum()))
    if (len(gaps) and not ends[-1]) or (len(positions) and positions[-1] >= count):
        raise ModelFileError("the gaps between its weights do not match their count")
    kept = np.zeros(count, bool)
    kept[positions] = True
    return kept


def _halves(encoding: Encoding, count: int, sections: _Sections) -> Array:
    """Join the two byte planes of `count` fp16 numbers to float32 values."""
    high = sections.take(f"{encoding}.high", count)
    low = sections.take(f"{encoding}.low", count)
    return np.frombuffer(_join_bytes(low + high, 2), "<f2").astype(np.float32)


def _split_bytes(data: bytes, width: int) -> bytes:
    """Reorder numbers of `width` bytes: all first bytes, then all second bytes, and so on."""
    return np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()


def _join_bytes(data: bytes, width: int) -> bytes:
    """Invert `_split_bytes`."""
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
