"""`scenelet info`."""

import json
from typing import Annotated, Any

import typer

from scenelet.cli.formats import MODEL_HELP, Format

SIZE_RULES = {
    "paper": ("kB", "kept weights and all norm parameters"),
    "dcase2020": ("KiB", "kept weights without norms; limit 500 KiB"),
    "dcase2020_with_ssn": ("KiB", "the same, with sub-spectral norms' parameters; limit 500 KiB"),
    "dcase2022": ("kB", "all parameters, zeros included; limit 128 kB"),
    "disk": ("kB", "the file, everything in it"),
}


def info(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.table,
) -> None:
    """Describe a model file: parameters, sizes, multiply-accumulates, layers, provenance."""
    from scenelet.classifier import model_path
    from scenelet.describe import describe
    from scenelet.models import card

    path = model_path(model)
    description = describe(path)
    if format is Format.json:
        print(json.dumps(description, indent=2))
    else:
        print_tables(description)
        if (written := card(path)) is not None:
            print(f"its card: {written}")


def print_tables(description: dict[str, Any]) -> None:
    """For people."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(highlight=False)
    seconds = description["window"]["seconds"]
    facts = Table("", "", show_header=False, box=SIMPLE)
    facts.add_row("labels", Text(", ".join(description["labels"])))
    facts.add_row("parameters", f"{description['parameters']:,}, of which {description['parameters_kept']:,} kept")
    facts.add_row("multiply-accumulates", f"{description['macs'] / 1e6:,.1f} M per window of {seconds:g} s")
    field = description["receptive_field"]
    sees = f"{field['bands']} bands x {field['frames']} frames ({field['seconds']:.2f} s)"
    facts.add_row("receptive field", f"{sees} of {description['features']['n_mels']} bands and {seconds:g} s")
    for part in ("features", "window", "provenance", "results"):
        facts.add_row(
            part, Text("\n".join(f"{plain(key)}: {plain(value)}" for key, value in description[part].items()))
        )
    facts.add_row("licences", Text("\n".join(plain(licence) for licence in description["licences"])))
    console.print(facts)

    bytes_table = Table("size by", "", "what counts", box=SIMPLE)
    for name, (unit, rule) in SIZE_RULES.items():
        size = description["bytes"][name] / (1024 if unit == "KiB" else 1000)
        bytes_table.add_row(name, f"{size:,.2f} {unit}", rule)
    console.print(bytes_table)

    numbers = ("parameters", "kept", "density", "M MACs")
    fixed = (Column(head, no_wrap=True) for head in ("op", "output"))
    layers = Table(
        Column("layer", overflow="fold"), *fixed, *(Column(head, justify="right") for head in numbers), box=SIMPLE
    )
    for layer in description["layers"]:
        parameters, kept, density = f"{layer['parameters']:,}", f"{layer['kept']:,}", ""
        if layer["shared_with"]:
            parameters, kept = "shared", ""
        elif layer["parameters"]:
            density = f"{100 * layer['density']:.1f} %"
        else:
            parameters = kept = ""
        mega = f"{layer['macs'] / 1e6:,.2f}" if layer["macs"] else ""
        shape = "x".join(map(str, layer["shape"]))
        layers.add_row(Text(layer["name"]), layer["op"], shape, parameters, kept, density, mega)
    console.print(layers)


def plain(value: Any) -> str:
    """A value of the file as text without control characters that a terminal could obey."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
