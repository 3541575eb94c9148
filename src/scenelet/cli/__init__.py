"""Command line, `scenelet COMMAND`. Results go to stdout, messages and progress to stderr.

Exit codes: 0 success; 1 failure, e.g. a missing or damaged file; 2 wrong usage, e.g. an unknown option, setting or
name; 130 interrupted.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, TextIO

import typer

from scenelet import __version__
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
from scenelet.cli.submit_package import check_package, package
from scenelet.cli.timeline import timeline
from scenelet.cli.train import train
from scenelet.cli.usage_errors import format_usage_error
from scenelet.errors import SceneletError, UsageError, missing_extra
from scenelet.utils.process import tune

# `main` prints our own errors in one line, and a bug keeps its plain traceback
app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train and run small models that classify sounds and acoustic scenes.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    fetch,
    check,
    train,
    compress,
    evaluate,
    predict,
    listen,
    timeline,
    serve,
    extract,
    info,
    export,
    reproduce,
    cache,
)
for command in COMMANDS:
    app.command()(command)
for command in (package, check_package):
    submit.command()(command)
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
    try:
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        code = _report_stdout(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            _discard_unwritable(stream)
    sys.exit(code)


def _report_stdout(error: OSError) -> int:
    """Return the exit code if stdout cannot be written; raise any other error again, for it is a bug."""
    try:
        print(flush=True)
    except BrokenPipeError:  # the reader, e.g. `head`, has read enough
        return 1
    except OSError as fault:
        print(f"error: standard output cannot be written ({fault.strerror}); write it elsewhere", file=sys.stderr)
        return 1
    raise error


def _discard_unwritable(stream: TextIO | None) -> None:
    """Discard what cannot be written, or Python complains about it when it ends."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_not_empty(arguments: Sequence[str]) -> None:
    """Check that no argument is empty. A path would be the current folder, and a shell variable is often unset.

    Raises:
        UsageError: an argument, or the value in `--option=`, is empty.

    >>> check_not_empty(["predict", "esc10", "--out="])
    Traceback (most recent call last):
    scenelet.errors.UsageError: the value of --out is empty; is a shell variable unset?
    """
    for before, argument in zip(["scenelet", *arguments], arguments, strict=False):
        option, equals, value = argument.partition("=") if argument.startswith("--") else (before, "", argument)
        if not value and (equals or not argument):
            what = f"the value of {option}" if option.startswith("-") else f"the argument after {option}"
            raise UsageError(f"{what} is empty; is a shell variable unset?")


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
        check_not_empty(arguments)
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
