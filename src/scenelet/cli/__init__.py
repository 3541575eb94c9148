"""Command line, `scenelet COMMAND`. Results go to stdout, messages and progress to stderr.

Exit codes: 0 success; 1 failure, e.g. a missing or damaged file; 2 wrong usage, e.g. an unknown option, setting or
name; 130 interrupted.
"""

import io
import os
import sys
from typing import Annotated

import typer

from scenelet import __version__
from scenelet.cli.app import App, Command
from scenelet.cli.cache import cache
from scenelet.cli.check import check
from scenelet.cli.compress import compress
from scenelet.cli.demo import demo
from scenelet.cli.evaluate import evaluate
from scenelet.cli.export import export
from scenelet.cli.extract import extract
from scenelet.cli.fetch import fetch
from scenelet.cli.info import info
from scenelet.cli.listen import listen
from scenelet.cli.predict import predict
from scenelet.cli.reproduce import reproduce
from scenelet.cli.serve import serve
from scenelet.cli.submit import submit
from scenelet.cli.train import train
from scenelet.cli.usage_errors import format_usage_error
from scenelet.errors import SceneletError, missing_extra
from scenelet.utils.process import tune

app = App(help="Train and run small models that classify sounds and acoustic scenes.")
COMMANDS: tuple[Command, ...] = (
    demo,
    fetch,
    check,
    train,
    compress,
    evaluate,
    predict,
    listen,
    serve,
    extract,
    info,
    export,
    reproduce,
    cache,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(submit, name="submit")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"scenelet {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _scenelet(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Run the command line. A user's mistake ends with a one-line error and an exit code, without a traceback."""
    tune()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show must not be an error
    sys.exit(_run())


def expand_home(argument: str) -> str:
    """Replace a leading ~ of a path, also in `--option=~/path`, where many shells leave it. No folder named ~ is made.

    >>> expand_home("--out=~/run") == f"--out={os.path.expanduser('~')}/run", expand_home("a~b")
    (True, 'a~b')
    """
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{os.path.expanduser(value)}"


def _run() -> int:
    """Run a command and return the exit code."""
    try:
        arguments = list(map(expand_home, sys.argv[1:]))
        code: int | None = app(arguments, prog_name="scenelet", standalone_mode=False)
    except SceneletError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except typer.TyperException as fault:
        print(f"error: {format_usage_error(fault)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return missing.exit_code
    if code == 130:  # Typer turns an interrupt into this exit code
        print("interrupted", file=sys.stderr)
    return code or 0
