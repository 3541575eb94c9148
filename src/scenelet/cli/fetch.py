"""`scenelet fetch`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.completion import data_sets
from scenelet.cli.options import QuietOption
from scenelet.utils.console import is_quiet, print_message


def fetch(
    data: Annotated[
        str,
        typer.Argument(
            help="esc10, esc50, tau2020-3class, tau2019, tau2020-mobile or tau2022-mobile.", autocompletion=data_sets
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to download into; the data set gets a folder of its own there.")],
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept the license without asking.")
    ] = False,
    evaluation: Annotated[bool, typer.Option("--evaluation", help="Add the evaluation set; not of tau2019.")] = False,
    mirror: Annotated[str | None, typer.Option(help="Address of a mirror with the same files.")] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep the archives of a TAU set.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Download, unpack and check a public data set.

    An interrupted download resumes when the command is run again.
    """
    from scenelet.data.download.fetch import dataset_parts
    from scenelet.data.download.fetch import fetch as run

    parts = dataset_parts(data, out, evaluation, mirror, keep_archives)
    run(parts, out, lambda: accept_license or _ask())
    for part in parts:
        print(part.root)
    print_message("next: " + shlex.join(["scenelet", "check", str(parts[0].root)]))


def _ask() -> bool:
    """Ask on the terminal whether the user accepts the license."""
    from scenelet.errors import UsageError

    if is_quiet():
        raise UsageError("--quiet asks no questions; run without it to read the license, or give --accept-license")
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("there is no terminal for the question; read the license above and give --accept-license")
    return typer.confirm("Do you accept the license?", err=True)
