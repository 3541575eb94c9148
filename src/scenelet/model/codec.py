"""Lossless compression of bytes by deflate or LZMA, whichever is shorter.

The first byte of compressed data names the method. Python's standard library has both. Weights contain no repeats, so
the coding of single bytes decides the size. Deflate's Huffman codes suit bytes whose distribution hardly changes.
LZMA's adaptive range coder needs less than one bit for a byte that is nearly always the same, as in the mask of a
sparse network. It also follows a distribution that changes from layer to layer.
"""

import lzma
import zlib
from collections.abc import Mapping
from typing import Any

from scenelet.errors import ModelFileError

DEFLATE = 0
LZMA = {1: 0, 2: 3}
"""Mapping from an LZMA method to its `lc`: how many bits of the previous byte select a byte's probabilities."""
DICTIONARY_BYTES = 4096  # a reader keeps this much in memory; weights have no repeats to look up


def compress_bytes(data: bytes) -> bytes:
    """Return the shortest compressed form of `data`, which begins with the number of its method.

    >>> stored = compress_bytes(bytes(1000))
    >>> len(stored) < 20, decompress_bytes(stored, 1000) == bytes(1000)
    (True, True)
    """
    candidates = [bytes([DEFLATE]) + _deflate(data)]
    candidates += [bytes([method]) + _lzma(data, context_bits) for method, context_bits in LZMA.items()]
    return min(candidates, key=len)


def decompress_bytes(stored: bytes, size: int) -> bytes:
    """Invert `compress_bytes`. The function never allocates more than `size` + 1 bytes for the result.

    Args:
        stored: the result of `compress_bytes`.
        size: the length of the original data in bytes.

    Raises:
        ModelFileError: the method is unknown, the data is damaged, or its size is not `size`.
    """
    method, coded = stored[:1], stored[1:]
    decoder: Any
    if method == bytes([DEFLATE]):
        decoder = zlib.decompressobj()
    elif len(method) == 1 and method[0] in LZMA:
        filters = [_lzma_filter(LZMA[method[0]])]
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters)
    else:
        raise ModelFileError("a section uses an unknown compression method")
    try:
        plain: bytes = decoder.decompress(coded, size + 1)
    except (zlib.error, lzma.LZMAError):
        raise ModelFileError("a section cannot be decompressed") from None
    if len(plain) != size or not decoder.eof or decoder.unused_data:
        raise ModelFileError(f"a section does not decompress to exactly {size} bytes")
    return plain


def _deflate(data: bytes) -> bytes:
    """Return the shortest result of three strategies. Some planes repeat; most have few values and no repeats."""
    results = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY):
        deflater = zlib.compressobj(9, strategy=strategy)
        results.append(deflater.compress(data) + deflater.flush())
    return min(results, key=len)


def _lzma(data: bytes, context_bits: int) -> bytes:
    search = {"mode": lzma.MODE_NORMAL, "mf": lzma.MF_BT4, "nice_len": 273}
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[{**_lzma_filter(context_bits), **search}])


def _lzma_filter(context_bits: int) -> Mapping[str, int]:
    return {"id": lzma.FILTER_LZMA1, "dict_size": DICTIONARY_BYTES, "lc": context_bits, "lp": 0, "pb": 0}
