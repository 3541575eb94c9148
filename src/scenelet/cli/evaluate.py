"""`scenelet evaluate`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.options import MODEL_HELP, Format
from scenelet.utils.console import print_message


class Audio(StrEnum):
    """Where the listening page's sound is."""

    link = "link"
    embed = "embed"
    none = "none"


def evaluate(
    model: Annotated[str, typer.Argument(help=MODEL_HELP)],
    data: Annotated[Path, typer.Argument(help="Labelled recordings, as for training.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the report: report.html and its data.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold that is the test side; as in training by default.")] = None,
    split: Annotated[
        str | None,
        typer.Option(help="test (the default), validation, train or all; all of other recordings than training's."),
    ] = None,
    include_unused: Annotated[
        bool, typer.Option("--include-unused", help="Measure unseen cities' clips in no split too.")
    ] = False,
    audio_dir: Annotated[Path | None, typer.Option(help="Where a CSV's files lie.")] = None,
    run: Annotated[Path | None, typer.Option(help="Run that the model comes from: its curves in the report.")] = None,
    examples: Annotated[int, typer.Option(help="Mistakes, and unsure answers, on the listening page; 0: none.")] = 12,
    audio: Annotated[Audio, typer.Option(help="The page links to recordings, holds up to 30 s each, or none.")] = (
        Audio.link
    ),
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.table,
) -> None:
    """Measure a model file on labelled recordings."""
    from rich.console import Console

    from scenelet.evaluation.breakdown import city_rows
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
    )
    if format is Format.json:
        print(json.dumps(report, indent=2))
    else:
        Console().print(report_table(report, city_rows(report)))
    if out is not None:
        pages = [out / "report.html", *([out / "listening.html"] if examples else [])]
        sizes = [f"{path} ({path.stat().st_size / 1e3:,.0f} kB)" for path in pages]
        print_message(f"written: {', '.join(sizes)}, and their data and figures beside them")
