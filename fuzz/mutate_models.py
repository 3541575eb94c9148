"""Mutations of a `.scn` file that keep its frame valid. Otherwise no mutation would pass the checksum."""

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

from scenelet.errors import ModelFileError
from scenelet.model.codec import decompress_bytes
from scenelet.model.file import FORMAT_VERSION, MAGIC

START = struct.Struct("<8sIIII")
CHECKSUM = 32
MAX_PLAIN_BYTES = 1 << 20
ODD_VALUES: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 15, 16, 17, 255, 4095, 4096, 4097, 1 << 16, 1 << 24, 1 << 27, 1 << 31, 1 << 63, 10**30, 10**400,
    0.0, -0.0, 0.5, 1e-300, 5e-324, 1e300, 1.5, float("nan"), float("inf"), True, False, None, "", "x", "log_mel",
    "probabilities", "mono", "stereo", "mid-side", "repeat", "hamming", "zeros", "\x1b[2J", "a\nb", "\u202e",
    [], {}, [1], [[]], {"a": 1},
)  # fmt: skip
Bytes = Callable[[bytes, int], bytes]
"""The fuzzer's own mutation: (bytes, maximum size) -> mutated bytes."""


def mutate(data: bytes, max_size: int, seed: int, mutate_bytes: Bytes) -> bytes:
    """Return a mutation of one file."""
    rng = random.Random(seed)
    opened = _open(data)
    if opened is None or rng.random() < 0.03:
        return mutate_bytes(data, max_size)
    plain, body = opened
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.random()
        if kind < 0.15:
            plain = mutate_bytes(plain, len(plain) + 64)
        elif kind < 0.75:
            plain = _other_value(plain, rng)
        else:
            plain, body = _other_section(plain, body, rng, mutate_bytes)
    return seal(plain, body, rng)


def seal(plain: bytes, body: bytes, rng: random.Random) -> bytes:
    """Return a file of a header's JSON and sections, with correct lengths and checksum."""
    stored = b"\0" + zlib.compress(plain, 1)
    if rng.random() < 0.01:
        stored = mutate_one(stored, rng)
    length = START.size + len(stored) + len(body) + CHECKSUM
    data = START.pack(MAGIC, FORMAT_VERSION, length, len(stored), len(plain)) + stored + body
    return data + hashlib.sha256(data).digest()


def mutate_one(data: bytes, rng: random.Random) -> bytes:
    """Replace, remove or insert one byte."""
    if not data:
        return bytes([rng.randrange(256)])
    index = rng.randrange(len(data))
    return data[:index] + bytes(rng.choices(range(256), k=rng.choice((0, 1, 2)))) + data[index + rng.choice((0, 1)) :]


def _open(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the header's JSON and the sections, or None if the file cannot be opened."""
    if len(data) < START.size + CHECKSUM or data[:8] != MAGIC:
        return None
    *_, stored, plain = START.unpack_from(data)
    try:
        header = decompress_bytes(data[START.size : START.size + stored], min(plain, MAX_PLAIN_BYTES))
    except ModelFileError:
        return None
    return header, data[START.size + stored : -CHECKSUM]


def _other_value(plain: bytes, rng: random.Random) -> bytes:
    """Replace one value of the JSON by an odd, a close or another value, or duplicate or remove it."""
    try:
        header = json.loads(plain)
    except (ValueError, RecursionError):
        return mutate_one(plain, rng)
    entry, another = _random_entry(header, rng), _random_entry(header, rng)
    if entry is None or another is None:
        return mutate_one(plain, rng)
    (holder, key), (other, other_key) = entry, another
    action = rng.random()
    if action < 0.35:
        holder[key] = rng.choice(ODD_VALUES)
    elif action < 0.65:
        holder[key] = json.loads(json.dumps(other[other_key]))
    elif action < 0.85 and isinstance(holder[key], int):
        holder[key] = rng.choice((holder[key] + 1, holder[key] - 1, 2 * holder[key], holder[key] // 2, -holder[key]))
    elif action < 0.93 and isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(holder[key])))
    else:
        del holder[key]
    return json.dumps(header, ensure_ascii=rng.random() < 0.5).encode(errors="replace")


def _random_entry(value: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """Return (container, key) of a random value inside, or None for an empty value."""
    found = None
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        found, value = (value, key), value[key]
        if rng.random() < 0.2:
            break
    return found


def _other_section(plain: bytes, body: bytes, rng: random.Random, mutate_bytes: Bytes) -> tuple[bytes, bytes]:
    """Change the bytes of one section, compressed or plain, and update its length in the header."""
    try:
        header = json.loads(plain)
        lengths = header["sections"]
        name = rng.choice(list(lengths))
        start = sum(list(lengths.values())[: list(lengths).index(name)])
        section = body[start : start + lengths[name]]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return plain, mutate_one(body, rng)
    sized = section[:4] if name.endswith(".gaps") else b""
    if rng.random() < 0.5:
        changed = mutate_bytes(section, len(section) + 16)
    else:
        try:
            unzipped = zlib.decompress(section[len(sized) + 1 :]) if section[len(sized)] == 0 else b""
        except (zlib.error, IndexError):
            unzipped = b""
        values = mutate_bytes(unzipped[:MAX_PLAIN_BYTES], len(unzipped) + 4)
        sized = struct.pack("<I", len(values)) if sized else b""
        changed = sized + b"\0" + zlib.compress(values, 1)
    lengths[name] = len(changed)
    return json.dumps(header).encode(), body[:start] + changed + body[start + len(section) :]
