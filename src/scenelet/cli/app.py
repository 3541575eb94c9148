"""Features of all commands: the option `--quiet`, and completion of arguments."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from scenelet.cli.completion import completion
from scenelet.utils.console import quiet as be_quiet

Command = Callable[..., None]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


class App(typer.Typer):
    """Group of commands that each have `--quiet` and complete their arguments."""

    def __init__(self, **options: Any) -> None:
        # `main` prints our own errors in one line, and a bug keeps its plain traceback
        super().__init__(pretty_exceptions_enable=False, rich_markup_mode=None, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:  # type: ignore[override]
        """Register a function as a command, as Typer does; the function itself is returned unchanged."""
        add = super().command(name, **options)

        def register(function: Command) -> Command:
            add(_with_common(function))
            return function

        return register


def _with_common(function: Command) -> Command:
    """Add the parameter `quiet` to a command."""
    signature = inspect.signature(function, eval_str=True)
    own = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)
    parameters = [*(_completed(function.__name__, each) for each in signature.parameters.values()), own]

    @functools.wraps(function)
    def command(*, quiet: bool, **arguments: Any) -> None:
        with be_quiet(quiet):
            function(**arguments)

    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _completed(command: str, parameter: inspect.Parameter) -> inspect.Parameter:
    """Copy a parameter and add its completion; the original may be shared with another command."""
    infos = getattr(parameter.annotation, "__metadata__", ())
    if not infos:
        return parameter
    info = copy.copy(infos[0])
    info.autocompletion = completion(command, parameter.name)
    return parameter.replace(annotation=Annotated[parameter.annotation.__origin__, info])
