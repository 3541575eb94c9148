"""The `.scn` file: one model with everything a user needs, as data only.

    magic              8 bytes
    format version     u32, little-endian like all that follow
    file length        u32
    head               u32 stored bytes, u32 inflated bytes; then JSON, coded as `scenelet.model.codec` does
    sections           the arrays, see `scenelet.model.weights`; the head has the stored lengths
    checksum           SHA-256 of everything before it

A reader checks every length, count and shape before it allocates, and executes nothing; what the head may say and
ask for: `scenelet.model.header`.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

from scenelet.errors import ModelFileError
from scenelet.model.codec import compress_bytes, decompress_bytes
from scenelet.model.header import MAX_FILE_BYTES, MAX_HEADER_BYTES, Header, parse_header
from scenelet.model.scene_model import SceneModel
from scenelet.model.weights import Array, decode_weights, encode_weights, stored_arrays
from scenelet.utils.files import replace_file

MAGIC = b"\x89SCN\r\n\x1a\n"  # like PNG's: not text, and damaged by a transfer that takes it for text
FORMAT_VERSION = 3
_START = struct.Struct("<8sIIII")
_CHECKSUM = hashlib.sha256().digest_size
FRAME_BYTES = _START.size + _CHECKSUM
"""What a file has beside its head and its sections."""
_AGAIN = "copy or download it again"


def read_model(path: Path) -> SceneModel:
    """Read a `.scn` file.

    Raises:
        ModelFileError: no such file, not a model file, damaged, or of a newer format.
    """
    return decode_model(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a `.scn` file, or one more than it may have.

    Raises:
        ModelFileError: no such file, or it cannot be read.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise ModelFileError(f"{path}: is {kind}; give the path of a .scn file")
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; give the path of a .scn file") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None


def write_model(model: SceneModel, path: Path) -> None:
    """Write a `.scn` file, whole or not at all.

    Raises:
        ModelFileError: as `encode_model`.
        OutputError: the file cannot be written.
    """
    replace_file(path, encode_model(model))


def encode_model(model: SceneModel) -> bytes:
    """A model -> the bytes of its file; the same model gives the same bytes.

    Raises:
        ModelFileError: what the model holds does not fit together or does not fit its encoding.
    """
    _check_encodings(model)
    sections = encode_weights(model.arrays, model.encodings)
    plain = _plain_header(model, {name: len(stored) for name, stored in sections.items()})
    stored_head = compress_bytes(plain)
    body = b"".join([stored_head, *sections.values()])
    length = _START.size + len(body) + _CHECKSUM
    if length > MAX_FILE_BYTES or len(plain) > MAX_HEADER_BYTES:
        raise ModelFileError(f"the model is too large for a file of {MAX_FILE_BYTES} bytes, or its head for one")
    start = _START.pack(MAGIC, FORMAT_VERSION, length, len(stored_head), len(plain))
    return start + body + hashlib.sha256(start + body).digest()


def stored_model(model: SceneModel) -> SceneModel:
    """Return the model as its file would give it back: `decode_model(encode_model(model))`, without compression.

    A caller that stores measured results in a model can thus measure first and encode once.

    Raises:
        ModelFileError: as `encode_model`.
    """
    _check_encodings(model)
    header = parse_header(_plain_header(model, {}))
    return _scene_model(header, stored_arrays(model.arrays, model.encodings))


def check_model(model: SceneModel) -> None:
    """Whether a file can hold this model, whatever its weights will be; they are not coded, which takes long.

    Raises:
        ModelFileError: what the model holds does not fit together.
    """
    _check_encodings(model)
    _plain_header(model, {})


def _check_encodings(model: SceneModel) -> None:
    if set(model.arrays) != set(model.encodings):
        odd = min(set(model.arrays) ^ set(model.encodings))
        raise ModelFileError(f"{odd!r} has an array or an encoding, but not both")


def _plain_header(model: SceneModel, lengths: Mapping[str, int]) -> bytes:
    """The head as JSON, with the sections' lengths, checked as a reader does."""
    entries = [{"name": n, "shape": a.shape, "encoding": model.encodings[n]} for n, a in model.arrays.items()]
    head = {
        "labels": model.labels,
        "features": model.features.model_dump(),
        "window": model.window.model_dump(),
        "nodes": [node.model_dump() for node in model.nodes],
        "arrays": entries,
        "sections": dict(lengths),
        "counts": model.counts.model_dump(),
        "provenance": model.provenance,
        "results": model.results,
        "licenses": model.licenses,
    }
    try:
        plain = json.dumps(head, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the model's head holds a value that JSON cannot ({error})") from None
    parse_header(plain)
    return plain


def decode_model(data: bytes, source: str) -> SceneModel:
    """The bytes of a file -> its model; `source` is named in errors.

    Raises:
        ModelFileError: not a model file, cut short, altered, of a newer format, or inconsistent.
    """
    stored_size, plain_size = _check_container(data, source)
    try:
        header = parse_header(decompress_bytes(data[_START.size : _START.size + stored_size], plain_size))
        encodings = {array.name: array.encoding for array in header.arrays}
        shapes = {array.name: array.shape for array in header.arrays}
        arrays = decode_weights(shapes, encodings, header.sections, data[_START.size + stored_size : -_CHECKSUM])
    except ModelFileError as error:
        raise ModelFileError(f"{source}: {error}; {_AGAIN}") from None
    return _scene_model(header, arrays)


def _scene_model(header: Header, arrays: dict[str, Array]) -> SceneModel:
    return SceneModel(
        labels=header.labels,
        features=header.features,
        window=header.window,
        nodes=header.nodes,
        arrays=arrays,
        encodings={array.name: array.encoding for array in header.arrays},
        counts=header.counts,
        provenance=header.provenance,
        results=header.results,
        licenses=header.licenses,
    )


def stored_lengths(data: bytes) -> tuple[int, dict[str, int]]:
    """Bytes that a file's head takes, and by name those of its sections. Raises as `decode_model`."""
    stored_size, plain_size = _check_container(data, "the file")
    return stored_size, dict(
        parse_header(decompress_bytes(data[_START.size : _START.size + stored_size], plain_size)).sections
    )


def _check_container(data: bytes, source: str) -> tuple[int, int]:
    """Check magic, version, length and checksum -> the head's stored and inflated bytes."""
    if not data:
        raise ModelFileError(f"{source}: the file is empty; {_AGAIN}")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ModelFileError(f"{source}: not a scenelet model; `scenelet compress` writes them")
    if len(data) > MAX_FILE_BYTES:
        raise ModelFileError(f"{source}: larger than the {MAX_FILE_BYTES} bytes a model may have; {_AGAIN}")
    if len(data) < _START.size + _CHECKSUM:
        raise ModelFileError(f"{source}: cut short after {len(data)} bytes; {_AGAIN}")
    _, version, length, stored_size, plain_size = _START.unpack_from(data)
    if 0 < version < FORMAT_VERSION:
        raise ModelFileError(
            f"{source}: has format version {version}, from before the first release; compress its run again"
        )
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{source}: has format version {version}, this scenelet reads up to {FORMAT_VERSION}; upgrade scenelet"
        )
    if len(data) < length:
        raise ModelFileError(f"{source}: cut short after {len(data)} of {length} bytes; {_AGAIN}")
    checksum = hashlib.sha256(memoryview(data)[:-_CHECKSUM]).digest()
    if version < 1 or len(data) != length or checksum != data[-_CHECKSUM:]:
        raise ModelFileError(f"{source}: its checksum does not fit, the file was altered; {_AGAIN}")
    if plain_size > MAX_HEADER_BYTES or stored_size > length - _START.size - _CHECKSUM:
        raise ModelFileError(f"{source}: its head is larger than the file allows; {_AGAIN}")
    return stored_size, plain_size
