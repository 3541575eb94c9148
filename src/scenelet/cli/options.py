"""What arguments of several commands are called on the command line."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from scenelet.errors import UsageError

ENGINE_HELP = "Bulk: processes of this machine, or a Ray cluster (an extra)."
WORKERS_HELP = "Bulk: processes at once; one a processor by default."
SHARD_SIZE_HELP = "Bulk: recordings in a Parquet file; up to 256 by default."
RETRY_ERRORS_HELP = "Bulk: make the Parquet files anew that hold errors."
MODEL_HELP = "Model file, NAME.scn, or the model that comes with scenelet: esc10."


class Format(StrEnum):
    """For people or for programs."""

    table = "table"
    json = "json"


class RowFormat(StrEnum):
    """The same, for results with a row a recording."""

    table = "table"
    json = "json"
    csv = "csv"


class Engine(StrEnum):
    """Who does bulk work: `scenelet.bulk.engines`."""

    local = "local"
    ray = "ray"


class Runtime(StrEnum):
    """What runs a network: `scenelet.inference.runtimes`."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


def parse_bytes(option: str, text: str) -> int:
    """`"500kB"` -> 500000; B, kB and MB, 1 kB = 1000 B.

    Raises:
        UsageError: `text` is no size; `option` is named.
    """
    return _parse(option, text, {"": 1, "b": 1, "kb": 1000, "mb": 1000**2}, "a number of bytes, kB or MB, e.g. 500kB")


def parse_count(option: str, text: str) -> int:
    """`"30M"` -> 30,000,000; k, M and G. Raises as `parse_bytes`."""
    return _parse(
        option, text, {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}, "a number, or one of k, M or G, e.g. 30M"
    )


def _parse(option: str, text: str, units: Mapping[str, int], how: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in units:
        raise UsageError(f"{option} {text}: write it as {how}")
    return int(Decimal(match[1]) * units[match[2].lower()])
