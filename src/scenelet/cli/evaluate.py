"""`scenelet evaluate`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.completion import splits
from scenelet.cli.options import (
    AudioDirOption,
    DataArgument,
    Format,
    FormatOption,
    ModelsArgument,
    MultiLabel,
    QuietOption,
)
from scenelet.utils.console import print_message


class Audio(StrEnum):
    """Audio on the listening page."""

    link = "link"
    embed = "embed"
    none = "none"


def evaluate(
    model: ModelsArgument,
    data: DataArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the report: report.html, figures and data.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold that is the test split (default: as in training).")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split to evaluate: test, validation, train or all (default: test, or all for other data sets).",
            autocompletion=splits,
        ),
    ] = None,
    include_unused: Annotated[
        bool, typer.Option("--include-unused", help="Also evaluate clips of unseen cities that are in no split.")
    ] = False,
    audio_dir: AudioDirOption = None,
    multi_label: Annotated[
        MultiLabel | None,
        typer.Option(help="Rows of several labels, or overlapping: refuse, skip or first (default: as in training)."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run folder of the model, to add its training curves.")] = None,
    examples: Annotated[int, typer.Option(help="Errors, and unsure answers, on the listening page; 0: no page.")] = 12,
    audio: Annotated[Audio, typer.Option(help="Link to recordings, embed up to 30 s of each, or leave audio out.")] = (
        Audio.link
    ),
    background: Annotated[
        Path | None,
        typer.Option(help="Recording, or folder of recordings, of none of the classes: count false alarms."),
    ] = None,
    target_per_hour: Annotated[
        float | None, typer.Option(help="Rate of false alarms to find thresholds for (default: 1).")
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Write these thresholds into the model file.")] = False,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Evaluate a model on labelled recordings and write a report."""
    from rich.console import Console

    from scenelet.evaluation.evaluate import evaluate as run_evaluate
    from scenelet.evaluation.report import report_table

    report = run_evaluate(
        model,
        data,
        out,
        fold=fold,
        split=split,
        include_unused=include_unused,
        audio_dir=audio_dir,
        run=run,
        examples=examples,
        audio=audio.value,
        multi_label=None if multi_label is None else multi_label.value,
        background=background,
        target_per_hour=target_per_hour,
        store=store,
    )
    if format is Format.json:
        print(json.dumps(report, indent=2))
    else:
        Console().print(report_table(report))
    if store:
        print_message(f"written: the thresholds of the labels, into {model}")
    if out is not None:
        pages = [out / "report.html", *([out / "listening.html"] if examples else [])]
        sizes = [f"{path} ({path.stat().st_size / 1e3:,.0f} kB)" for path in pages]
        print_message(f"written: {', '.join(sizes)}, and their data and figures in the same folder")
