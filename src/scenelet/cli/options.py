"""Options and help texts that several commands share."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from scenelet.errors import UsageError

MODEL_HELP = "Model file, NAME.scn, or the built-in model: esc10."
DATA_HELP = "Folder with one subfolder per class, table with filename and label, or folder of a public data set."
AUDIO_DIR_HELP = (
    "Folder of the recordings that a table lists (default: the table's, or a folder like audio next to it)."
)
TAU_3_CLASS_HELP = "Map the ten TAU scenes to indoor, outdoor, transportation."
SET_HELP = "Change a setting of the recipe; may be repeated."
FORMAT_HELP = "Output format."
RUNTIME_HELP = "Library that runs the network; openvino needs an extra."
ENGINE_HELP = "Bulk: local processes, or a Ray cluster (needs an extra)."
WORKERS_HELP = "Bulk: number of processes (default: one per core)."
SHARD_SIZE_HELP = "Bulk: maximum recordings per Parquet file (default: up to 256)."
PROTOCOL_HELP = "Bulk: allow a further protocol of fsspec in URLs, e.g. hf; may be repeated."
RETRY_ERRORS_HELP = "Bulk: read the recordings with errors again."


class Format(StrEnum):
    """Output formats: a table for people, or JSON for programs."""

    table = "table"
    json = "json"


class RowFormat(StrEnum):
    """Output formats of results with one row per recording."""

    table = "table"
    json = "json"
    csv = "csv"


class Engine(StrEnum):
    """Engines of bulk jobs, as in `scenelet.bulk.engines`."""

    local = "local"
    ray = "ray"


class Runtime(StrEnum):
    """Libraries that run a network, as in `scenelet.inference.runtimes`."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


def parse_bytes(option: str, text: str) -> int:
    """Parse a size in B, kB or MB; 1 kB is 1000 B.

    Raises:
        UsageError: `text` is not a size; the message names `option`.

    Example:
        >>> parse_bytes("--max-bytes", "500kB")
        500000
    """
    return _parse(option, text, {"": 1, "b": 1, "kb": 1000, "mb": 1000**2}, "a number of bytes, kB or MB, e.g. 500kB")


def parse_count(option: str, text: str) -> int:
    """Parse a number with an optional k, M or G. Raises as `parse_bytes`.

    Example:
        >>> parse_count("--max-macs", "30M")
        30000000
    """
    return _parse(
        option, text, {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}, "a number, or one of k, M or G, e.g. 30M"
    )


def _parse(option: str, text: str, units: Mapping[str, int], how: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in units:
        raise UsageError(f"{option} {text}: write it as {how}")
    return int(Decimal(match[1]) * units[match[2].lower()])
