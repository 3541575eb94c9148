"""`scenelet predict`."""

import csv
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.console import say

if TYPE_CHECKING:
    from scenelet.classifier import Prediction

    Results = list[tuple[Path, Prediction]]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    json = "json"
    csv = "csv"


def predict(
    model: Annotated[str, typer.Argument(help="Model file, or a built-in name.")],
    paths: Annotated[list[Path], typer.Argument(help="Recordings, or folders that are searched for them.")],
    format: Annotated[Format, typer.Option(help="How to print the predictions.")] = Format.table,
) -> None:
    """Tell where recordings were made; exits with 1 when some could not be read."""
    from scenelet.classifier import load
    from scenelet.errors import SceneletError

    classifier = load(model)
    results: Results = []
    failed = False
    for path in paths:
        files = recordings(path)
        if not files:
            failed = True
            say(f"error: {shown(path)}: holds no recordings (WAV, FLAC, Ogg, MP3); give another folder")
        for file in files:
            try:
                results.append((file, classifier.predict(file)))
            except SceneletError as error:
                failed = True
                say(f"error: {error}")
    printers = {Format.table: print_table, Format.json: print_json, Format.csv: print_csv}
    printers[format](results, classifier.labels)
    if failed:
        raise typer.Exit(1)


def recordings(path: Path) -> list[Path]:
    """The file itself, or every recording in a folder and its subfolders, sorted."""
    from scenelet.audio import EXTENSIONS

    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())


def shown(path: Path) -> str:
    """The path as text that any terminal takes, whatever bytes are in it."""
    return os.fsencode(path).decode("utf-8", "replace")


def print_json(results: "Results", labels: tuple[str, ...]) -> None:
    """A list of `{file, label, probabilities, windows}`."""
    rows = [
        {
            "file": str(file),
            "label": prediction.label,
            "probabilities": prediction.probabilities,
            "windows": len(prediction.windows),
        }
        for file, prediction in results
    ]
    print(json.dumps(rows, indent=2))


def print_csv(results: "Results", labels: tuple[str, ...]) -> None:
    """`file,label,windows` and a column for each label."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["file", "label", "windows", *labels])
    for file, prediction in results:
        shares = (f"{p:.6f}" for p in prediction.probabilities.values())
        rows.writerow([shown(file), prediction.label, len(prediction.windows), *shares])


def print_table(results: "Results", labels: tuple[str, ...]) -> None:
    """For people."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    if not results:
        return
    table = Table(
        Column("file", overflow="fold"), "label", "windows", *(Column(Text(label), justify="right") for label in labels)
    )
    for file, prediction in results:
        shares = (f"{100 * p:.1f} %" for p in prediction.probabilities.values())
        table.add_row(Text(shown(file)), Text(prediction.label), str(len(prediction.windows)), *shares)
    Console().print(table)
