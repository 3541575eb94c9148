"""Open a `.scn` file and seal an altered one."""

import hashlib
import json
import struct

from helpers.tiny_model import tiny_model, with_known_sounds
from scenelet.model.codec import compress_bytes, decompress_bytes
from scenelet.model.file import FORMAT_VERSION, MAGIC, encode_model

START = struct.Struct("<8sIIII")
GOOD = encode_model(tiny_model())
KNOWN = encode_model(with_known_sounds(tiny_model()))


def open_up(data: bytes) -> tuple[dict, bytes]:
    """Return the header of a file and its sections."""
    _, _, _, stored, _ = START.unpack_from(data)
    start, plain_size = START.size, START.unpack_from(data)[4]
    return json.loads(decompress_bytes(data[start : start + stored], plain_size)), data[start + stored : -32]


def seal(header: dict | bytes, body: bytes, version: int = FORMAT_VERSION, plain_size: int | None = None) -> bytes:
    """Return a file with a correct checksum, whatever its content."""
    plain = header if isinstance(header, bytes) else json.dumps(header).encode()
    stored = compress_bytes(plain)
    length = START.size + len(stored) + len(body) + 32
    start = START.pack(MAGIC, version, length, len(stored), len(plain) if plain_size is None else plain_size)
    data = start + stored + body
    return data + hashlib.sha256(data).digest()
