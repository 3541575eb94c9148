"""`scenelet predict`."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.formats import RowFormat
from scenelet.console import say, track

if TYPE_CHECKING:
    from scenelet.classifier import Prediction

    Results = list[tuple[Path, Prediction]]


def predict(
    model: Annotated[str, typer.Argument(help="Model file, NAME.scn.")],
    paths: Annotated[list[Path], typer.Argument(help="Recordings, or folders that are searched for them.")],
    format: Annotated[RowFormat, typer.Option(help="How to print the predictions.")] = RowFormat.table,
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
        for file in track(files, "Predicting", len(files)):
            try:
                results.append((file, classifier.predict(file)))
            except SceneletError as error:
                failed = True
                say(f"error: {error}")
    printers = {RowFormat.table: print_table, RowFormat.json: print_json, RowFormat.csv: print_csv}
    printers[format](results, classifier.labels)
    if failed:
        raise typer.Exit(1)


def recordings(path: Path) -> list[Path]:
    """The file itself, or every recording in a folder and its subfolders, sorted; hidden files are passed over."""
    from scenelet.audio import EXTENSIONS

    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


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
    """A line a recording, for people: the answer and the two next to it."""
    names = [shown(file) for file, _ in results]
    width, label_width = max(map(len, names), default=0), max(map(len, labels))
    for name, (_, prediction) in zip(names, results, strict=True):
        (label, share), *others = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        then = ", ".join(f"{other} {100 * p:.1f} %" for other, p in others[:2])
        print(f"{name:<{width}}  {label:<{label_width}}  {100 * share:5.1f} %   {then}")
