"""Bytes -> fewer bytes and back: deflate or LZMA, whichever is shorter.

A stored piece begins with one byte that names the method. Both come with Python. Weights have no repeats, so it is
the coding of single bytes that counts: deflate's Huffman codes suit bytes of nearly one distribution; LZMA's
adaptive range coder spends less than a bit on a byte that is nearly always the same, as in the mask of a network of
which little is kept, and follows a distribution that changes from layer to layer.
"""

import lzma
import zlib
from collections.abc import Mapping
from typing import Any

from scenelet.errors import ModelFileError

DEFLATE = 0
LZMA = {1: 0, 2: 3}
"""Method -> how many bits of the byte before choose a byte's probabilities."""
DICTIONARY = 4096  # bytes that a reader keeps; there is nothing to look back for


def compress_bytes(data: bytes) -> bytes:
    """The shortest of what the methods make of `data`, behind the method's byte."""
    candidates = [bytes([DEFLATE]) + _deflate(data)]
    candidates += [bytes([method]) + _lzma(data, context) for method, context in LZMA.items()]
    return min(candidates, key=len)


def decompress_bytes(stored: bytes, size: int) -> bytes:
    """The inverse of `compress_bytes`; never makes more than one byte beyond `size`.

    Raises:
        ModelFileError: no such method, not what the method writes, or of another size.
    """
    method, coded = stored[:1], stored[1:]
    decoder: Any
    if method == bytes([DEFLATE]):
        decoder = zlib.decompressobj()
    elif len(method) == 1 and method[0] in LZMA:
        filters = [_filter(LZMA[method[0]])]
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters)
    else:
        raise ModelFileError("a section is coded in a way that is not known")
    try:
        plain: bytes = decoder.decompress(coded, size + 1)
    except (zlib.error, lzma.LZMAError):
        raise ModelFileError("a section is not what its coding writes") from None
    if len(plain) != size or not decoder.eof or decoder.unused_data:
        raise ModelFileError(f"a section does not inflate to the {size} bytes it must have")
    return plain


def _deflate(data: bytes) -> bytes:
    """The shortest of three strategies: some planes have repeats, most have few values but no repeats."""
    coded = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY):
        deflater = zlib.compressobj(9, strategy=strategy)
        coded.append(deflater.compress(data) + deflater.flush())
    return min(coded, key=len)


def _lzma(data: bytes, context: int) -> bytes:
    searching = {"mode": lzma.MODE_NORMAL, "mf": lzma.MF_BT4, "nice_len": 273}
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[{**_filter(context), **searching}])


def _filter(context: int) -> Mapping[str, int]:
    return {"id": lzma.FILTER_LZMA1, "dict_size": DICTIONARY, "lc": context, "lp": 0, "pb": 0}
