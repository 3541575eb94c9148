"""The command line: `scenelet COMMAND`. Results go to stdout, talk to stderr.

Exit codes: 0 done, 1 the work failed, 2 wrong usage.
"""

import io
import sys

import typer

from scenelet.cli.bench import bench
from scenelet.cli.check import check
from scenelet.cli.compress import compress
from scenelet.cli.demo import demo
from scenelet.cli.evaluate import evaluate
from scenelet.cli.export import export
from scenelet.cli.fetch import fetch
from scenelet.cli.info import info
from scenelet.cli.listen import listen
from scenelet.cli.predict import predict
from scenelet.cli.reproduce import reproduce
from scenelet.cli.serve import serve
from scenelet.cli.submit import submit
from scenelet.cli.train import train
from scenelet.errors import SceneletError, missing_extra
from scenelet.process import tune

app = typer.Typer(
    help="Small models that tell where a recording was made.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (demo, fetch, check, train, compress, evaluate, predict, listen, serve, info, export, reproduce, bench):
    app.command()(command)
app.add_typer(submit, name="submit")


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and an exit code, never a traceback."""
    tune()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show stops nothing
    try:
        app()
    except SceneletError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        sys.exit(missing.exit_code)
