"""`scenelet submit write`, `details` and `check`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption
from scenelet.utils.console import print_message

submit = typer.Typer(rich_markup_mode=None, help="Write and check a DCASE 2020 Task 1B submission.")


@submit.command()
def write(
    model: Annotated[str, typer.Argument(help="Model file of indoor, outdoor, transportation: NAME.scn.")],
    audio_dir: Annotated[Path, typer.Argument(help="Folder of the evaluation set: 0.wav to 8639.wav.")],
    details: Annotated[Path, typer.Option(help="TOML file of `scenelet submit details`, filled in.")],
    out: Annotated[Path, typer.Option(help="Folder for LABEL.output.csv and LABEL.meta.yaml.")],
    report: Annotated[Path | None, typer.Option(help="report.json of `scenelet evaluate`, for the results.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept an incomplete evaluation set.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Predict the evaluation set and write the two files of a submission."""
    from scenelet.evaluation.submission.submit import submit as run_submit

    output, meta = run_submit(model, audio_dir, details, out, report=report, partial=partial)
    print_message(f"written: {output}, {meta}")


@submit.command()
def details(
    path: Annotated[Path, typer.Argument(metavar="FILE.toml", help="TOML file to write.")],
    quiet: QuietOption = False,
) -> None:
    """Write an example of the details file."""
    from scenelet.evaluation.submission.details import write_example

    write_example(path)
    print_message(f"written: {path}; fill it in")


@submit.command()
def check(
    output: Annotated[Path, typer.Argument(help="Predictions: LABEL.output.csv.")],
    meta: Annotated[Path, typer.Argument(help="Metadata: LABEL.meta.yaml.")],
    partial: Annotated[bool, typer.Option("--partial", help="Accept missing rows.")] = False,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """List the faults of a submission.

    The exit code is 1 if there are any.
    """
    from scenelet.evaluation.submission.validate import check_files

    faults = check_files(output, meta, partial)
    if format is Format.json:
        print(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
    else:
        print("\n".join(map(str, faults)) or "no faults")
    if faults:
        raise typer.Exit(1)
