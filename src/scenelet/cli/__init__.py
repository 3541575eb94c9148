"""The command line: `scenelet COMMAND`. Results go to stdout, talk to stderr.

Exit codes: 0 done; 1 the work failed, as with a file that is missing or damaged; 2 wrong usage: an option, a
setting or a name that there is not; 130 interrupted.
"""

import io
import sys
from typing import Annotated

import typer

from scenelet import __version__
from scenelet.cli.app import App, Command
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
from scenelet.cli.usage_errors import UsageFault, format_usage_error
from scenelet.errors import SceneletError, missing_extra
from scenelet.utils.process import tune

app = App(help="Small models that tell sounds and acoustic scenes apart.")
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
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(submit, name="submit")


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"scenelet {__version__}")
        raise typer.Exit


@app.callback()
def _scenelet(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and an exit code, never a traceback."""
    tune()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show stops nothing
    sys.exit(_run())


def _run() -> int:
    """The exit code."""
    try:
        code: int | None = app(prog_name="scenelet", standalone_mode=False)
    except SceneletError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except UsageFault as fault:
        asked_nothing = type(fault).__name__ == "NoArgsIsHelpError"
        print(fault if asked_nothing else f"error: {format_usage_error(fault)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return missing.exit_code
    if code == 130:  # what Typer makes of an interrupt
        print("interrupted", file=sys.stderr)
    return code or 0
