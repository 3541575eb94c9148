"""`scenelet fetch`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from scenelet.utils.console import is_quiet, print_message


def fetch(
    data: Annotated[str, typer.Argument(help="esc10, tau2020-3class or tau2019.")],
    out: Annotated[Path, typer.Option(help="Folder that the set's own folder goes into.")],
    accept_license: Annotated[bool, typer.Option("--accept-license", help="Accept the license unasked.")] = False,
    evaluation: Annotated[bool, typer.Option("--evaluation", help="tau2020-3class: its evaluation set too.")] = False,
    mirror: Annotated[str | None, typer.Option(help="Address that has the same files.")] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Leave the archives after unpacking.")] = False,
) -> None:
    """Download a public data set, unpack and check it.

    Run again, it goes on where it stopped.
    """
    from scenelet.data.download.fetch import dataset_parts
    from scenelet.data.download.fetch import fetch as run

    sets = dataset_parts(data, out, evaluation, mirror, keep_archives)
    run(sets, out, lambda: accept_license or _ask())
    for each in sets:
        print(each.root)
    print_message("next: " + shlex.join(["scenelet", "check", str(sets[0].root)]))


def _ask() -> bool:
    from scenelet.errors import UsageError

    if is_quiet():
        raise UsageError("--quiet asks nothing; read the license without it, or give --accept-license")
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; read the license above and give --accept-license")
    return typer.confirm("Do you accept the license?", err=True)
