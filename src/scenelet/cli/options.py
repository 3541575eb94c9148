"""Options and arguments that several commands share."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.completion import models, recipes, settings
from scenelet.errors import UsageError
from scenelet.utils.console import quiet

MODEL_HELP = "Model file, NAME.scn, or the built-in model: esc10."
DATA_HELP = "Folder with one subfolder per class, table with filename and label, or folder of a public data set."
SET_HELP = "Change a setting of the recipe; may be repeated."


class Format(StrEnum):
    """Output formats: a table for people, or JSON for programs."""

    table = "table"
    json = "json"


class RowFormat(StrEnum):
    """Output formats of results with one row per recording."""

    table = "table"
    json = "json"
    csv = "csv"


class MultiLabel(StrEnum):
    """Treatment of sound with several labels, as in `scenelet.data.clips`."""

    refuse = "refuse"
    skip = "skip"
    first = "first"


class Engine(StrEnum):
    """Engines of bulk jobs, as in `scenelet.bulk.engines`."""

    local = "local"
    ray = "ray"


class Runtime(StrEnum):
    """Libraries that run a network, as in `scenelet.inference.runtimes`."""

    onnxruntime = "onnxruntime"
    openvino = "openvino"


def _set_quiet(context: typer.Context, wanted: bool) -> bool:
    """Suppress messages until the command ends."""
    context.with_resource(quiet(wanted))
    return wanted


def change_option(help: str) -> object:
    """Return the option `--set`, which completes the settings."""
    return typer.Option("--set", metavar="KEY=VALUE", help=help, autocompletion=settings)


ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP, autocompletion=models)]
ModelsArgument = Annotated[
    str, typer.Argument(help=f"{MODEL_HELP} Or a folder of models by recording device.", autocompletion=models)
]
DataArgument = Annotated[Path, typer.Argument(help=DATA_HELP)]
AudioDirOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the recordings that a table lists (default: the table's, or a folder like audio next to it)."
    ),
]
Tau3ClassOption = Annotated[
    bool, typer.Option("--tau-3-class", help="Map the ten TAU scenes to indoor, outdoor, transportation.")
]
MultiLabelOption = Annotated[
    MultiLabel,
    typer.Option(help="Rows of several labels, and overlapping ones: refuse, skip them, or take the first label."),
]
ChangeOption = Annotated[list[str] | None, change_option(SET_HELP)]
RecipeOption = Annotated[
    str | None, typer.Option(help="Recipe name or TOML file (default: default).", autocompletion=recipes)
]
FormatOption = Annotated[Format, typer.Option(help="Output format.")]
RowFormatOption = Annotated[RowFormat, typer.Option(help="Output format.")]
RuntimeOption = Annotated[Runtime, typer.Option(help="Library that runs the network; openvino needs an extra.")]
HopOption = Annotated[float | None, typer.Option(help="Seconds between predictions (default: 1, or a shorter window).")]
SmoothingOption = Annotated[float, typer.Option(help="Seconds over which probabilities are averaged.")]
MarginOption = Annotated[float, typer.Option(help="Lead in probability that a new label needs.")]
ThresholdOption = Annotated[
    float | None, typer.Option(help="Minimum probability of a sure answer (default: the model's, of each label).")
]
EngineOption = Annotated[
    Engine | None, typer.Option(help="Bulk: local processes (default), or a Ray cluster (needs an extra).")
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Bulk: number of processes (default: one per core).")]
ShardSizeOption = Annotated[
    int | None, typer.Option(min=1, help="Bulk: maximum recordings per Parquet file (default: up to 256).")
]
RetryErrorsOption = Annotated[bool, typer.Option("--retry-errors", help="Bulk: read the recordings with errors again.")]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option(help="Bulk: allow a further protocol of fsspec in URLs, e.g. hf; may be repeated."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", callback=_set_quiet, help="Print only results and errors.")]


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
