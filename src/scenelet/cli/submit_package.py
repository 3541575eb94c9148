"""`scenelet submit package` and `check-package`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption
from scenelet.utils.console import print_message


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
        load_model(model)  # as the package does, so that a fault shows here and not at the evaluators'
    write_package(out / label, files)
    print_message(f"written: {out / label}; try it as its README.md says")


def check_package(
    folder: Annotated[Path, typer.Argument(help="Folder that `scenelet submit package` wrote.")],
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """List the faults of an inference package.

    The exit code is 1 if there are any. No code of the package runs.
    """
    from scenelet.evaluation.submission.package.check import check_package as find_faults

    faults = find_faults(folder)
    if format is Format.json:
        rows = [{"file": fault.file, "where": fault.where, "message": fault.message} for fault in faults]
        print(json.dumps({"faults": rows}, indent=2))
    else:
        print("\n".join(map(str, faults)) or "no faults")
    if faults:
        raise typer.Exit(1)
