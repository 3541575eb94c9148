"""One-line messages for invalid command lines."""

import os
import re
import sys
from typing import Any

import typer

from scenelet.errors import did_you_mean

UsageFault: type[Exception] = typer.BadParameter.__mro__[1]
"""Base class of Typer's errors for an invalid command line. Typer gives it no public name."""


def format_usage_error(fault: Exception) -> str:
    """Say what is wrong, what is closest to it, and which help to read."""
    context: Any = getattr(fault, "ctx", None)
    see_help = f" (see {context.command_path} --help)" if context is not None else ""
    return f"{_describe(fault, context)}{see_help}"


def _describe(fault: Any, context: Any) -> str:
    parameter: Any = getattr(fault, "param", None)
    message: str = fault.format_message().strip()
    if type(fault).__name__ == "NoSuchOption":
        known = [name for each in context.command.params for name in (*each.opts, *each.secondary_opts)]
        file = next(
            (word for word in sys.argv[1:] if word.startswith(fault.option_name) and os.path.exists(word)), None
        )
        near = did_you_mean(fault.option_name, (*known, "--help")) if file is None else f"; the file is ./{file}"
        return f"there is no option {fault.option_name}{near}"
    if type(fault).__name__ == "MissingParameter" and parameter is not None:
        name = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name.upper()
        help_text = f": {parameter.help.rstrip('.')}" if getattr(parameter, "help", None) else ""
        return f"{parameter.param_type_name} {name} is missing{help_text}"
    if command := re.match(r"No such command '(.*?)'", message):
        known = context.command.list_commands(context)
        return f"there is no command {command[1]!r}{did_you_mean(command[1], known)}"
    if choice := re.match(r"Invalid value for '(.*?)': (?:Value error, )?'(.*)' is not one of (.*?)\.?$", message):
        known = re.findall(r"'(.*?)'", choice[3])
        return f"{choice[1]} {choice[2]}: it is one of {', '.join(known)}{did_you_mean(choice[2], known)}"
    message = message.replace("Value error, ", "").rstrip(".")
    return message[:1].lower() + message[1:]
