"""`scenelet submit write`, `details` and `check`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.app import App
from scenelet.cli.options import Format
from scenelet.utils.console import print_message

submit = App(help="Write and check a DCASE 2020 Task 1B submission.")


@submit.command()
def write(
    model: Annotated[str, typer.Argument(help="Model file, NAME.scn, of indoor, outdoor, transportation.")],
    audio_dir: Annotated[Path, typer.Argument(help="Folder of the evaluation set: 0.wav to 8639.wav.")],
    details: Annotated[Path, typer.Option(help="Authors and the like; see scenelet submit details.")],
    out: Annotated[Path, typer.Option(help="Folder for LABEL.output.csv and LABEL.meta.yaml.")],
    report: Annotated[Path | None, typer.Option(help="report.json of scenelet evaluate, for the results.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take fewer recordings, to try it.")] = False,
) -> None:
    """Predict the evaluation set and write a submission's two files."""
    from scenelet.evaluation.submission.submit import submit as run_submit

    output, meta = run_submit(model, audio_dir, details, out, report=report, partial=partial)
    print_message(f"written: {output}, {meta}")


@submit.command()
def details(path: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Where to write it.")]) -> None:
    """Write an example of the details file."""
    from scenelet.evaluation.submission.details import write_example

    write_example(path)
    print_message(f"written: {path}; fill it in")


@submit.command()
def check(
    output: Annotated[Path, typer.Argument(help="LABEL.output.csv")],
    meta: Annotated[Path, typer.Argument(help="LABEL.meta.yaml")],
    partial: Annotated[bool, typer.Option("--partial", help="Fewer rows are no fault.")] = False,
    format: Annotated[Format, typer.Option(help="How to print the faults.")] = Format.table,
) -> None:
    """List every fault of a submission. Exits with 1 when there are any."""
    from scenelet.evaluation.submission.validate import check_files

    faults = check_files(output, meta, partial)
    if format is Format.json:
        print(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
    else:
        print("\n".join(map(str, faults)) or "no faults")
    if faults:
        raise typer.Exit(1)
