"""`scenelet submit write`, `details`, `check`, `package` and `check-package`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption
from scenelet.utils.console import print_message

if TYPE_CHECKING:
    from scenelet.evaluation.submission.faults import Fault

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

    _print_faults(check_files(output, meta, partial), format)


@submit.command()
def package(
    models: Annotated[
        list[Path], typer.Argument(help="1 to 4 models: NAME.scn, or a folder with general.scn and DEVICE.scn.")
    ],
    label: Annotated[str, typer.Option(help="Label without its number: Lastname_Institute_task1.")],
    test_list: Annotated[Path, typer.Option(help="The challenge's test.csv, the test clips of the development set.")],
    out: Annotated[Path, typer.Option(help="Folder for the package's folder, which has the name of the label.")],
    wheel: Annotated[Path | None, typer.Option(help="Wheel of scenelet to put into the package.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the inference package of a DCASE 2025 submission."""
    from scenelet.evaluation.submission.package.write import package_files, write_package

    files = package_files(models, label, test_list, wheel)

    from scenelet.training.inference_package import load_model

    for model in models:
        load_model(model)  # as the package does, so that it fails here and not at the evaluators'
    write_package(out / label, files)
    print_message(f"written: {out / label}; try it as its README.md says")


@submit.command()
def check_package(
    folder: Annotated[Path, typer.Argument(help="Folder that `scenelet submit package` wrote.")],
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """List the faults of an inference package.

    The exit code is 1 if there are any. No code of the package runs.
    """
    from scenelet.evaluation.submission.package.check import check_package as find_faults

    _print_faults(find_faults(folder), format)


def _print_faults(faults: list["Fault"], format: Format) -> None:
    """Print faults, and exit with code 1 if there are any."""
    if format is Format.json:
        print(json.dumps({"faults": [asdict(fault) for fault in faults]}, indent=2))
    else:
        print("\n".join(map(str, faults)) or "no faults")
    if faults:
        raise typer.Exit(1)
