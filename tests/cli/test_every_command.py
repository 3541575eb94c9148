"""Checks of every command: fast help, `--quiet`, lines that fit a terminal."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from scenelet.cli import app

HEAVY = {"torch", "lightning", "onnxruntime", "onnx", "matplotlib", "scipy", "fastapi", "sounddevice"}
ASK = """
import contextlib, io, json, sys
from scenelet.cli import main
found = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["scenelet", *command.split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            found[command] = [end.code, out.getvalue()]
print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def names(group: Any, before: str = "") -> list[str]:
    """Every command, with those of its groups: "train", "submit write"."""
    found = []
    for name, command in group.commands.items():
        path = f"{before} {name}".strip()
        found += names(command, path) if hasattr(command, "commands") else [path]
    return found


COMMANDS = names(typer.main.get_command(app))


@pytest.fixture(scope="module")
def helps() -> tuple[dict[str, tuple[int, str]], set[str]]:
    """Command -> exit code and text of its help, in 80 columns, and all that was imported for them."""
    arguments = [sys.executable, "-c", ASK, json.dumps(["", *COMMANDS])]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"})
    found, modules = json.loads(done.stdout)
    return found, set(modules)


def test_commands_are_complete() -> None:
    assert {"demo", "fetch", "check", "train", "compress", "evaluate", "predict", "info", "export"} <= set(COMMANDS)
    assert {"reproduce", "submit write", "submit details", "submit check"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_lists_quiet(command: str, helps: tuple[dict[str, tuple[int, str]], set[str]]) -> None:
    code, text = helps[0][command]
    assert (code, text.split("\n")[0].split()[:1]) == (0, ["Usage:"])
    assert "-q, --quiet" in text
    assert "--no-" not in text  # a flag has no opposite
    assert max(map(len, text.splitlines())) <= 80
    top = helps[0][""][1] if " " not in command else ""
    assert "..." not in top.partition("Commands:")[2]  # each description fits its line


def test_help_imports_nothing_slow(helps: tuple[dict[str, tuple[int, str]], set[str]]) -> None:
    assert "typer" in helps[1]
    assert not helps[1] & HEAVY
