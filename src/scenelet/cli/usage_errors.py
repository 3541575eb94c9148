"""One-line messages for invalid command lines."""

import os
import sys

import typer


def format_usage_error(fault: typer.TyperException) -> str:
    """Say what is wrong and which help to read.

    Typer's own sentence names the option and what is close to it.
    """
    context = getattr(fault, "ctx", None)
    see_help = f" (see {context.command_path} --help)" if context is not None else ""
    message = fault.format_message().strip().rstrip(".").replace("Value error, ", "")
    # a file whose name begins with "-" looks like an option
    file = next((word for word in sys.argv[1:] if word.startswith("-") and os.path.exists(word)), None)
    hint = f"; for the file give ./{file}" if file is not None else ""
    return f"{message[:1].lower()}{message[1:]}{hint}{see_help}"
