"""Take a `.scn` file apart and put an altered one together."""

import hashlib
import json
import struct

from helpers.tiny_model import tiny_model
from scenelet.model import codec as coding
from scenelet.model import file as modelfile
from scenelet.model.file import MAGIC, encode_model

START = struct.Struct("<8sIIII")
GOOD = encode_model(tiny_model())


def open_up(data: bytes) -> tuple[dict, bytes]:
    """A file's head and its sections."""
    _, _, _, stored, _ = START.unpack_from(data)
    start, plain_size = START.size, START.unpack_from(data)[4]
    return json.loads(coding.decompress_bytes(data[start : start + stored], plain_size)), data[start + stored : -32]


def seal(
    head: dict | bytes, body: bytes, version: int = modelfile.FORMAT_VERSION, plain_size: int | None = None
) -> bytes:
    """A file with a right checksum, whatever is in it."""
    plain = head if isinstance(head, bytes) else json.dumps(head).encode()
    stored = coding.compress_bytes(plain)
    length = START.size + len(stored) + len(body) + 32
    start = START.pack(MAGIC, version, length, len(stored), len(plain) if plain_size is None else plain_size)
    data = start + stored + body
    return data + hashlib.sha256(data).digest()
