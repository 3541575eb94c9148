"""`scenelet info`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenelet.cli.options import FORMAT_HELP, MODEL_HELP, Format
from scenelet.errors import ModelFileError, UsageError
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from rich.console import Console


def info(
    model: Annotated[str, typer.Argument(help=f"{MODEL_HELP} Or a folder of model files to compare.")],
    format: Annotated[Format, typer.Option(help=FORMAT_HELP)] = Format.table,
    plot: Annotated[Path | None, typer.Option(help="Folder: also plot accuracy over size to NAME.png.")] = None,
) -> None:
    """Describe a model, or compare the models in a folder.

    The description lists parameters, sizes, multiply-accumulates, memory, layers and provenance.
    """
    from scenelet.model.pretrained import built_in, card, model_path
    from scenelet.model.summary import describe

    if Path(model).is_dir() and built_in(model) is None:
        compare(Path(model), format, plot)
        return
    if plot is not None:
        raise UsageError(f"--plot compares the models of a folder, and {model} is not a folder")
    path = model_path(model)
    description = describe(path)
    if format is Format.json:
        print(json.dumps(description, indent=2))
    else:
        print_tables(description)
        if (written := card(path)) is not None:
            print(f"its card: {written}")


def compare(folder: Path, format: Format, plot: Path | None) -> None:
    """Print one row per model of a folder; models that cannot be read are named on stderr and skipped."""
    from dataclasses import asdict

    from scenelet.evaluation.size_plot import plot_sizes
    from scenelet.model.summary import summarize
    from scenelet.utils.console import print_message, print_warning, track
    from scenelet.utils.files import replace_file, walk_files

    if plot is not None and plot.suffix != ".png":
        raise UsageError(f"{plot}: a picture's name ends in .png")
    files = [file for file in walk_files(folder) if file.suffix == ".scn"]
    if not files:
        raise ModelFileError(f"{folder}: holds no model files (NAME.scn); give another folder")
    rows = []
    for file in track(files, "Reading", len(files)):
        try:
            rows.append(summarize(file, folder))
        except ModelFileError as error:
            print_warning(f"left out: {error}")
    if not rows:
        raise ModelFileError(f"{folder}: none of its {len(files)} model files can be read; give another folder")
    if format is Format.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        width = max(len("model"), *(len(row.name) for row in rows))
        print(f"{'model':<{width}}  {'disk, kB':>9}  {'2022 rule, kB':>13}  {'M MAC/s':>8}  {'accuracy, %':>11}")
        for row in rows:
            accuracy = "not known" if row.accuracy is None else f"{100 * row.accuracy:.2f}"
            measured_on = f"  ({row.subset})" if row.subset == "validation" else ""
            sizes = f"{row.disk_bytes / 1000:9,.2f}  {row.parameter_bytes / 1000:13,.2f}"
            print(f"{row.name:<{width}}  {sizes}  {row.macs_per_second / 1e6:8,.2f}  {accuracy:>11}{measured_on}")
    if plot is not None:
        replace_file(plot, plot_sizes(rows))
        unknown = sum(row.accuracy is None for row in rows)
        without = f"; left out: {pluralize(unknown, 'model')} of unknown accuracy" if unknown else ""
        print_message(f"written: {plot}{without}")


def print_tables(description: dict[str, Any]) -> None:
    """Print tables: cost and sizes, layers, and provenance."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    seconds = description["window"]["seconds"]
    facts = Table("", "", show_header=False, box=SIMPLE)
    facts.add_row("labels", Text(", ".join(description["labels"])))
    facts.add_row("parameters", f"{description['parameters']:,}, of which {description['parameters_kept']:,} kept")
    per_window = f"{description['macs'] / 1e6:,.1f} M per window"
    per_second = f"{description['macs_per_second'] / 1e6:,.1f} M per second of audio"
    facts.add_row("multiply-accumulates", f"{per_second}, {per_window} of {seconds:g} s")
    facts.add_row("activations", f"{description['peak_activation_bytes'] / 1000:,.1f} kB maximum, in fp32")
    field = description["receptive_field"]
    sees = f"{field['bands']} bands x {field['frames']} frames ({field['seconds']:.2f} s)"
    facts.add_row("receptive field", f"{sees} of {description['features']['n_mels']} bands and {seconds:g} s")
    console.print(facts)
    _print_sizes(console, description)
    _print_layers(console, description)

    origin = Table("", "", show_header=False, box=SIMPLE)
    for part in ("features", "window", "provenance", "results"):
        origin.add_row(
            part, Text("\n".join(f"{plain(key)}: {plain(value)}" for key, value in description[part].items()))
        )
    origin.add_row("licenses", Text("\n".join(plain(license) for license in description["licenses"])))
    console.print(origin)


def _print_sizes(console: "Console", description: dict[str, Any]) -> None:
    """Print the size by each rule, and the parts of the file."""
    from rich.box import SIMPLE
    from rich.table import Table

    from scenelet.model.sizes import SIZE_RULES

    by_rule = Table("size by", "", "what counts", box=SIMPLE)
    for name, (unit, rule) in SIZE_RULES.items():
        size = description["bytes"][name] / (1024 if unit == "KiB" else 1000)
        by_rule.add_row(name, f"{size:,.2f} {unit}", rule)
    console.print(by_rule)
    parts = description["file_parts"]
    in_file = Table("in the file", "bytes", "", box=SIMPLE)
    bound = "no weights that can be pruned"
    if parts["weights_bound"]:
        excess = 100 * (parts["weights"] / parts["weights_bound"] - 1)
        direction = "above" if excess >= 0 else "below"
        bound = f"{abs(excess):.1f} % {direction} their order-0 entropy, {parts['weights_bound']:,} bytes"
    in_file.add_row("weights", f"{parts['weights']:,}", bound)
    in_file.add_row("others", f"{parts['others']:,}", "norms, biases, standardization; weights in fp32")
    in_file.add_row("header", f"{parts['header'] + parts['frame']:,}", "labels, settings, layers, provenance, results")
    console.print(in_file)


def _print_layers(console: "Console", description: dict[str, Any]) -> None:
    """Print one row per layer; a shared array is counted at the first layer that uses it.

    The number of nonzero weights can be lower than the number that pruning kept, since int8 and int4 round to zero.
    """
    from rich.box import SIMPLE
    from rich.table import Column, Table
    from rich.text import Text

    numbers = ("parameters", "not zero", "density", "M MACs")
    fixed = (Column(title, no_wrap=True) for title in ("op", "output"))
    layers = Table(
        Column("layer", overflow="fold"), *fixed, *(Column(title, justify="right") for title in numbers), box=SIMPLE
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
    """Format a value of the file without control characters, which a terminal would execute."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
