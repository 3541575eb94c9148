"""The `.scn` file: one model with everything that prediction needs, as data only.

    magic              8 bytes
    format version     u32, little-endian like all that follow
    file length        u32
    header             u32 compressed bytes, u32 plain bytes; then JSON, compressed by `scenelet.model.codec`
    sections           the arrays, see `scenelet.model.weights`; the header lists their compressed lengths
    checksum           SHA-256 of everything before it

A reader checks every length, count and shape before it allocates memory, and it executes nothing. The module
`scenelet.model.header` bounds the values that a header may hold.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scenelet.errors import ModelFileError
from scenelet.model.codec import compress_bytes, decompress_bytes
from scenelet.model.encodings import Array, Encoding, stored_arrays
from scenelet.model.header import MAX_FILE_BYTES, MAX_HEADER_BYTES, Header, parse_header
from scenelet.model.known_sounds import MEANS, KnownSounds
from scenelet.model.scene_model import SceneModel
from scenelet.model.weights import decode_weights, encode_weights
from scenelet.utils.files import replace_file

MAGIC = b"\x89SCN\r\n\x1a\n"  # like PNG's: no text, and damaged by a transfer that converts line ends
FORMAT_VERSION = 3
_START = struct.Struct("<8sIIII")
_CHECKSUM_BYTES = hashlib.sha256().digest_size
FRAME_BYTES = _START.size + _CHECKSUM_BYTES
"""Bytes of a file besides its header and its sections."""
_FIX = "copy or download it again"


def read_model(path: str | os.PathLike[str]) -> SceneModel:
    """Read a model from a `.scn` file.

    Raises:
        ModelFileError: the file does not exist, is not a model, is damaged, or has a newer format.

    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> model.labels[:2], model.input_shape
    (('chainsaw', 'clock_tick'), (1, 64, 216))
    """
    return decode_model(read_bytes(path), str(path))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read the bytes of a `.scn` file. Of a larger file than `MAX_FILE_BYTES`, one more byte than that is read.

    Raises:
        ModelFileError: the file does not exist or cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        if not path.is_dir():
            raise ModelFileError(f"{path}: is not a regular file; give the path of a .scn file")
        if (general := path / "general.scn").is_file():
            raise ModelFileError(
                f"{path}: is a folder of models for recording devices, and this takes one model file; give {general},"
                " or the file of the device"
            )
        raise ModelFileError(
            f"{path}: is a folder; give the path of a .scn file."
            " `scenelet compress RUN --out model.scn` makes one of a training run"
        )
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; give the path of a .scn file") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from None


def write_model(model: SceneModel, path: str | os.PathLike[str]) -> None:
    """Write a model to a `.scn` file. The write is atomic.

    Raises:
        ModelFileError: as `encode_model`.
        OutputError: the file cannot be written.

    >>> import tempfile
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_model(model, f"{folder}/copy.scn")
    ...     copy = read_model(f"{folder}/copy.scn")
    >>> copy.labels == model.labels
    True
    """
    replace_file(Path(path), encode_model(model))


def encode_model(model: SceneModel) -> bytes:
    """Return the bytes of a model's file. The same model always gives the same bytes.

    Raises:
        ModelFileError: the parts of the model do not fit together, or an array does not fit its encoding.
    """
    _check_encodings(model)
    sections = encode_weights(*_all_arrays(model))
    return _join(model, {name: len(stored) for name, stored in sections.items()}, b"".join(sections.values()))


def update_results(data: bytes, results: Mapping[str, Any]) -> bytes:
    """Return a file with new entries in `SceneModel.results`. The bytes of its weights stay the same.

    Raises:
        ModelFileError: as `decode_model`, or the results cannot be stored.

    >>> from scenelet.model.pretrained import built_in
    >>> data = read_bytes(built_in("esc10"))
    >>> decode_model(update_results(data, {"note": 1}), "copy").results["note"]
    1
    """
    model = decode_model(data, "the file")
    model = replace(model, results={**model.results, **results})
    stored_size, lengths = stored_lengths(data)
    return _join(model, lengths, data[_START.size + stored_size : -_CHECKSUM_BYTES])


def _join(model: SceneModel, lengths: Mapping[str, int], sections: bytes) -> bytes:
    """Return the file of a model with these sections, whose compressed bytes are `lengths`."""
    plain = _header_json(model, lengths)
    parse_header(plain)  # a file that a reader would refuse is not written
    stored_header = compress_bytes(plain)
    body = stored_header + sections
    length = _START.size + len(body) + _CHECKSUM_BYTES
    if length > MAX_FILE_BYTES or len(plain) > MAX_HEADER_BYTES:
        raise ModelFileError(
            f"the model is too large: a file has at most {MAX_FILE_BYTES} bytes, its header {MAX_HEADER_BYTES}"
        )
    start = _START.pack(MAGIC, FORMAT_VERSION, length, len(stored_header), len(plain))
    return start + body + hashlib.sha256(start + body).digest()


def decode_model(data: bytes, source: str) -> SceneModel:
    """Invert `encode_model`.

    Args:
        data: the bytes of a file.
        source: the name of the file, for error messages.

    Raises:
        ModelFileError: the data is not a model file, is truncated, altered or inconsistent, or has a newer format.
    """
    stored_size, plain_size = _check_container(data, source)
    body_start = _START.size + stored_size
    try:
        header = parse_header(decompress_bytes(data[_START.size : body_start], plain_size))
        encodings = {array.name: array.encoding for array in header.arrays}
        shapes = {array.name: array.shape for array in header.arrays}
        arrays = decode_weights(shapes, encodings, header.sections, data[body_start:-_CHECKSUM_BYTES])
    except ModelFileError as error:
        raise ModelFileError(f"{source}: {error}; {_FIX}") from None
    return _scene_model(header, arrays)


def stored_model(model: SceneModel) -> SceneModel:
    """Return `decode_model(encode_model(model))`, but without compressing any data.

    Measured results are part of a file. A caller that measures the stored model first needs to encode only once.

    Raises:
        ModelFileError: as `encode_model`.
    """
    _check_encodings(model)
    header = parse_header(_header_json(model, {}))
    return _scene_model(header, stored_arrays(*_all_arrays(model)))


def check_model(model: SceneModel) -> None:
    """Check that a file can hold a model of this structure, whatever its weights are. This is fast.

    Raises:
        ModelFileError: the parts of the model do not fit together.
    """
    _check_encodings(model)
    parse_header(_header_json(model, {}))


def stored_lengths(data: bytes) -> tuple[int, dict[str, int]]:
    """Return the compressed bytes of a file's header, and those of each section by name.

    Raises:
        ModelFileError: as `decode_model`.
    """
    stored_size, plain_size = _check_container(data, "the file")
    header = parse_header(decompress_bytes(data[_START.size : _START.size + stored_size], plain_size))
    return stored_size, dict(header.sections)


def _check_encodings(model: SceneModel) -> None:
    if set(model.arrays) != set(model.encodings):
        name = min(set(model.arrays) ^ set(model.encodings))
        raise ModelFileError(f"{name!r} has an array or an encoding, but not both")


def _all_arrays(model: SceneModel) -> tuple[dict[str, Array], dict[str, Encoding]]:
    """Return all arrays of a file and their encodings: those of the nodes, and the known sounds."""
    if model.known is None:
        return model.arrays, model.encodings
    return model.arrays | {MEANS: model.known.means}, model.encodings | {MEANS: "fp16"}


def _header_json(model: SceneModel, lengths: Mapping[str, int]) -> bytes:
    """Return the header as JSON, unchecked. `lengths`: the compressed bytes of each section."""
    stored, encodings = _all_arrays(model)
    arrays = [{"name": n, "shape": a.shape, "encoding": encodings[n]} for n, a in stored.items()]
    header: dict[str, Any] = {
        "labels": model.labels,
        "features": model.features.model_dump(),
        "window": model.window.model_dump(),
        "nodes": [node.model_dump() for node in model.nodes],
        "arrays": arrays,
        "sections": dict(lengths),
        "counts": model.counts.model_dump(),
        "provenance": model.provenance,
        "results": model.results,
        "licenses": model.licenses,
    }
    if model.background is not None:
        header["background"] = model.background
    if model.known is not None:
        header["known"] = {"min_similarity": model.known.min_similarity}
    try:
        return json.dumps(header, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"the model holds a value that its JSON header cannot store ({error})") from None


def _scene_model(header: Header, arrays: dict[str, Array]) -> SceneModel:
    known = None if header.known is None else KnownSounds(arrays.pop(MEANS), header.known.min_similarity)
    return SceneModel(
        labels=header.labels,
        features=header.features,
        window=header.window,
        nodes=header.nodes,
        arrays=arrays,
        encodings={array.name: array.encoding for array in header.arrays if array.name in arrays},
        counts=header.counts,
        provenance=header.provenance,
        results=header.results,
        licenses=header.licenses,
        background=header.background,
        known=known,
    )


def _check_container(data: bytes, source: str) -> tuple[int, int]:
    """Check magic, version, length and checksum. Return the compressed and plain bytes of the header."""
    if not data:
        raise ModelFileError(f"{source}: the file is empty; {_FIX}")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ModelFileError(f"{source}: not a model file; give a .scn file, as `scenelet compress` writes it")
    if len(data) > MAX_FILE_BYTES:
        raise ModelFileError(f"{source}: larger than the maximum of {MAX_FILE_BYTES} bytes; {_FIX}")
    if len(data) < _START.size + _CHECKSUM_BYTES:
        raise ModelFileError(f"{source}: truncated after {len(data)} bytes; {_FIX}")
    _, version, length, stored_size, plain_size = _START.unpack_from(data)
    if 0 < version < FORMAT_VERSION:
        raise ModelFileError(
            f"{source}: has format version {version}, from before the first release; compress its run again"
        )
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{source}: has format version {version}, this scenelet reads version {FORMAT_VERSION}; upgrade scenelet"
        )
    if len(data) < length:
        raise ModelFileError(f"{source}: truncated after {len(data)} of {length} bytes; {_FIX}")
    checksum = hashlib.sha256(memoryview(data)[:-_CHECKSUM_BYTES]).digest()
    if version < 1 or len(data) != length or checksum != data[-_CHECKSUM_BYTES:]:
        raise ModelFileError(f"{source}: its checksum does not match, the file was altered; {_FIX}")
    if plain_size > MAX_HEADER_BYTES or stored_size > length - _START.size - _CHECKSUM_BYTES:
        raise ModelFileError(f"{source}: its header is larger than the file allows; {_FIX}")
    return stored_size, plain_size
