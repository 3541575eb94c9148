"""`scenelet submit write`, `details` and `check`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption
from scenelet.utils.console import print_message

if TYPE_CHECKING:
    from scenelet.evaluation.submission.challenge import Challenge
    from scenelet.evaluation.submission.faults import Fault

submit = typer.Typer(rich_markup_mode=None, help="Write and check a submission to DCASE Task 1, 2020 to 2024.")


class Year(StrEnum):
    """Years of the challenge, as in `scenelet.evaluation.submission.challenge`."""

    dcase2020 = "2020"
    dcase2021 = "2021"
    dcase2022 = "2022"
    dcase2023 = "2023"
    dcase2024 = "2024"


YearOption = Annotated[Year, typer.Option(help="Year of the challenge: 2020 Task 1B, 2021 Task 1A, then Task 1.")]


def _challenge(year: Year) -> "Challenge":
    from scenelet.evaluation.submission.challenge import CHALLENGES

    return CHALLENGES[int(year)]


@submit.command()
def write(
    model: Annotated[str, typer.Argument(help="Model file NAME.scn; for 2024 a folder of split_5.scn etc.")],
    audio_dir: Annotated[Path, typer.Argument(help="Folder of the evaluation set: 0.wav, 1.wav and so on.")],
    year: YearOption,
    details: Annotated[Path, typer.Option(help="TOML file of `scenelet submit details`, filled in.")],
    out: Annotated[Path, typer.Option(help="Folder for LABEL.output.csv and LABEL.meta.yaml.")],
    report: Annotated[
        Path | None,
        typer.Option(help="report.json of `scenelet evaluate`; for 2024 a folder of split_5/report.json etc."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Accept an incomplete evaluation set.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Predict the evaluation set and write the files of a submission."""
    from scenelet.evaluation.submission.submit import submit as run_submit

    paths = run_submit(model, audio_dir, details, out, _challenge(year), report=report, partial=partial)
    print_message(f"written: {', '.join(map(str, paths))}")


@submit.command()
def details(
    path: Annotated[Path, typer.Argument(metavar="FILE.toml", help="TOML file to write.")],
    year: YearOption,
    quiet: QuietOption = False,
) -> None:
    """Write an example of the details file."""
    from scenelet.evaluation.submission.details import write_example

    write_example(path, _challenge(year))
    print_message(f"written: {path}; fill it in")


@submit.command()
def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folder or zip of a submission, or the files of one system.")
    ],
    year: YearOption,
    partial: Annotated[bool, typer.Option("--partial", help="Accept missing rows.")] = False,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """List the faults of a submission, and what is probably a mistake as warnings.

    The exit code is 1 if there are faults.
    """
    from scenelet.evaluation.submission.validate_folder import check_paths

    found = check_paths(paths, _challenge(year), partial)
    faults, warnings = ([one for one in found if one.warning is warning] for warning in (False, True))
    if format is Format.json:
        print(json.dumps({"faults": _values(faults), "warnings": _values(warnings)}, indent=2))
    else:
        print("\n".join(map(str, [*faults, *warnings] if faults else [*warnings, "no faults"])))
    if faults:
        raise typer.Exit(1)


def _values(found: "list[Fault]") -> list[dict[str, str]]:
    return [{"file": one.file, "where": one.where, "message": one.message} for one in found]
