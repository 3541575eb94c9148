"""Weights as deflated byte planes: how the arrays of a `.scn` file are stored.

The arrays of one encoding are laid end to end, and each plane of them is deflated on its own:

    masked_fp16        mask: one bit a value, set where it is not zero in fp16;
                       high and low: the bytes of those values
    fp16               high, low
    fp32               planes: all lowest bytes first, all highest last
"""

import math
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import ModelFileError

Encoding = Literal["masked_fp16", "fp16", "fp32"]
BYTES: dict[Encoding, int] = {"masked_fp16": 2, "fp16": 2, "fp32": 4}
"""Bytes that a kept parameter counts for."""

Array = NDArray[np.float32]


def pack(arrays: Mapping[str, Array], encodings: Mapping[str, Encoding]) -> dict[str, bytes]:
    """Arrays -> the stored bytes of each section, in the order of the file.

    Raises:
        ModelFileError: an array holds a number that is not finite, or too large for fp16.
    """
    sections: dict[str, bytes] = {}
    for encoding in BYTES:
        names = [name for name in arrays if encodings[name] == encoding]
        if not names:
            continue
        values = np.concatenate([_rounded(name, arrays[name], encoding).ravel() for name in names])
        if encoding == "fp32":
            sections["fp32.planes"] = deflate(_split(values.tobytes(), 4))
            continue
        if encoding == "masked_fp16":
            kept = values != 0
            sections["masked_fp16.mask"] = deflate(np.packbits(kept).tobytes())
            values = values[kept]
        planes = _split(values.tobytes(), 2)
        sections[f"{encoding}.high"] = deflate(planes[values.size :])
        sections[f"{encoding}.low"] = deflate(planes[: values.size])
    return sections


def unpack(
    shapes: Mapping[str, tuple[int, ...]], encodings: Mapping[str, Encoding], lengths: Mapping[str, int], body: bytes
) -> dict[str, Array]:
    """The inverse of `pack`: values come back as they were rounded.

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
        names = [name for name in shapes if encodings[name] == encoding]
        if not names:
            continue
        counts = [math.prod(shapes[name]) for name in names]
        values = _values(encoding, sum(counts), sections)
        if not np.isfinite(values).all():
            raise ModelFileError("an array holds numbers that are not finite")
        parts = np.split(values, np.cumsum(counts)[:-1])
        arrays |= {name: part.reshape(shapes[name]) for name, part in zip(names, parts, strict=True)}
    if sections.left:
        raise ModelFileError(f"the section {min(sections.left)!r} does not belong in it")
    return {name: arrays[name] for name in shapes}


class _Sections:
    """The stored sections, each of which is taken once, in the order of the file."""

    def __init__(self, lengths: Mapping[str, int], body: bytes) -> None:
        self.left = dict(lengths)
        self._body, self._offset = body, 0

    def take(self, name: str, size: int) -> bytes:
        """Inflate the next section to exactly `size` bytes."""
        if name not in self.left:
            raise ModelFileError(f"the section {name!r} is missing")
        start, self._offset = self._offset, self._offset + self.left.pop(name)
        return inflate(self._body[start : self._offset], size)


def _values(encoding: Encoding, count: int, sections: _Sections) -> Array:
    """All values of one encoding (count,)."""
    if encoding == "fp32":
        return np.frombuffer(_join(sections.take("fp32.planes", 4 * count), 4), "<f4").astype(np.float32)
    if encoding == "fp16":
        return _halves(encoding, count, sections)
    bits = np.frombuffer(sections.take("masked_fp16.mask", (count + 7) // 8), np.uint8)
    kept = np.unpackbits(bits, count=count).astype(bool)
    values = np.zeros(count, np.float32)
    values[kept] = _halves(encoding, int(kept.sum()), sections)
    return values


def _halves(encoding: Encoding, count: int, sections: _Sections) -> Array:
    """The two byte planes of `count` fp16 numbers -> float32."""
    high = sections.take(f"{encoding}.high", count)
    low = sections.take(f"{encoding}.low", count)
    return np.frombuffer(_join(low + high, 2), "<f2").astype(np.float32)


def _rounded(name: str, array: Array, encoding: Encoding) -> NDArray[np.floating]:
    """The array in its encoding's own type, little-endian."""
    if not np.isfinite(array).all():
        raise ModelFileError(f"the array {name!r} holds numbers that are not finite; the training went astray")
    with np.errstate(over="ignore"):
        rounded = array.astype("<f4" if encoding == "fp32" else "<f2")
    if not np.isfinite(rounded).all():
        largest = float(np.abs(array).max())
        raise ModelFileError(f"the array {name!r} holds {largest:g}, too large for fp16 (65504); store it as fp32")
    return rounded


def deflate(data: bytes) -> bytes:
    """Deflate, the smallest of three strategies: high bytes have few values but no repeats."""
    candidates = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY):
        deflater = zlib.compressobj(9, strategy=strategy)
        candidates.append(deflater.compress(data) + deflater.flush())
    return min(candidates, key=len)


def inflate(data: bytes, size: int) -> bytes:
    """Inflate to exactly `size` bytes, never to more than one beyond.

    Raises:
        ModelFileError: not deflated data, or of another size.
    """
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, size + 1)
    except zlib.error:
        raise ModelFileError("a section is not deflated data") from None
    if len(plain) != size or not inflater.eof or inflater.unused_data:
        raise ModelFileError(f"a section does not inflate to the {size} bytes it must have")
    return plain


def _split(data: bytes, width: int) -> bytes:
    """Numbers of `width` bytes -> all their first bytes, then all their second ones, and so on."""
    return np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()


def _join(data: bytes, width: int) -> bytes:
    """The inverse of `_split`."""
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
