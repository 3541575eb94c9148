"""Checks of every command: light help, `--quiet`, and lines that fit a terminal."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from scenelet.cli import app

HEAVY = {"torch", "lightning", "onnxruntime", "onnx", "matplotlib", "scipy", "fastapi", "sounddevice"}
PRINT_HELPS = """
import contextlib, io, json, sys
from scenelet.cli import main
helps = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["scenelet", *command.split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            helps[command] = [end.code, out.getvalue()]
print(json.dumps([helps, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def command_names(group: Any, prefix: str = "") -> list[str]:
    """List all commands, also those of subgroups: "train", "submit write"."""
    names = []
    for name, command in group.commands.items():
        path = f"{prefix} {name}".strip()
        names += command_names(command, path) if hasattr(command, "commands") else [path]
    return names


COMMANDS = command_names(typer.main.get_command(app))


@pytest.fixture(scope="module")
def helps() -> tuple[dict[str, tuple[int, str]], set[str]]:
    """Print every help in 80 columns; return exit code and text by command, and the imported packages."""
    arguments = [sys.executable, "-c", PRINT_HELPS, json.dumps(["", *COMMANDS])]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"})
    helps, modules = json.loads(done.stdout)
    return helps, set(modules)


def test_app_has_all_documented_commands() -> None:
    assert {"demo", "fetch", "check", "train", "compress", "evaluate", "predict", "info", "export"} <= set(COMMANDS)
    assert {"reproduce", "submit write", "submit details", "submit check"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_lists_quiet(command: str, helps: tuple[dict[str, tuple[int, str]], set[str]]) -> None:
    code, text = helps[0][command]
    assert (code, text.split("\n")[0].split()[:1]) == (0, ["Usage:"])
    assert "-q, --quiet" in text
    assert "--no-" not in text  # no flag has a needless opposite
    assert max(map(len, text.splitlines())) <= 80
    top = helps[0][""][1] if " " not in command else ""
    assert "..." not in top.partition("Commands:")[2]  # the summary of each command fits one line


def test_help_loads_no_heavy_package(helps: tuple[dict[str, tuple[int, str]], set[str]]) -> None:
    assert "typer" in helps[1]
    assert not helps[1] & HEAVY
