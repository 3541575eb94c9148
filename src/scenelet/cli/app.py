"""What all commands have in common: `--quiet`, and completion of what they take."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from scenelet.cli.completion import completion
from scenelet.utils.console import quiet as be_quiet

Command = Callable[..., None]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]


class App(typer.Typer):
    """A group of commands, each of which takes `--quiet` and completes its arguments."""

    def __init__(self, **options: Any) -> None:
        # our own errors are one sentence and a bug keeps its traceback
        super().__init__(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:  # type: ignore[override]
        """As Typer's; the function itself stays as it is, for those who call it."""
        add = super().command(name, **options)

        def register(function: Command) -> Command:
            add(_with_common(function))
            return function

        return register


def _with_common(function: Command) -> Command:
    """A command that takes `quiet` too."""
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
    """The same parameter with what completes it; what another command may share is not touched."""
    infos = getattr(parameter.annotation, "__metadata__", ())
    if not infos:
        return parameter
    info = copy.copy(infos[0])
    info.autocompletion = completion(command, parameter.name)
    return parameter.replace(annotation=Annotated[parameter.annotation.__origin__, info])
