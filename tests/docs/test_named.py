"""Tests that every command, option, setting, extra and file named in README and the pages exists."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from commands import all_commands

from helpers import doc_pages as pages
from scenelet.config import setting_keys

COMMANDS: dict[str, Any] = dict(all_commands())
OPTIONS = {words: {o for p in command.params for o in p.opts} for words, command in COMMANDS.items()}
PROJECT = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]
PROGRAM = pages.ROOT / "src/scenelet/export/c/sources/Makefile"  # of an exported C program
TARGETS = [
    target
    for makefile in (pages.ROOT / "Makefile", PROGRAM)
    for target in re.findall(r"^([\w-]+):", makefile.read_text(), re.MULTILINE)
]
SECTIONS = {key.partition(".")[0] for key in setting_keys() if "." in key}

GLOBAL = {"--version", "--install-completion", "--show-completion"}
FILES = (".csv", ".json", ".onnx", ".png", ".py", ".toml")
ALL = [*pages.PAGES, pages.NOTEBOOK]


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_commands_in_console_blocks_parse(page: Path) -> None:
    for words in pages.commands(pages.sentences(page)):
        program, *arguments = words
        if program == "scenelet":
            name, rest = command_of(arguments)
            assert name in COMMANDS, f"scenelet {' '.join(arguments)}: no such command"
            COMMANDS[name].make_context(name, list(rest))  # raises the usage error that a user would see
            assert unknown_settings(rest) == []
        elif program == "make":
            assert {word for word in arguments if "=" not in word} <= set(TARGETS), words
        elif program == "python" and arguments[0] == "-m":
            module = pages.ROOT.joinpath(*arguments[1].split("."))
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), words
        elif program == "python":
            assert (pages.ROOT / arguments[0]).is_file(), words
        elif program == "pip" and (extras := re.search(r"\[([\w,]+)\]", words[-1])):
            assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"]), words


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_names_in_sentences_exist(page: Path) -> None:
    for words in pages.named(pages.sentences(page)):
        inner = words[1:] if words[0] == "scenelet" else words
        name, rest = command_of(inner)
        options = {word for word in rest if re.fullmatch(r"--[a-z][a-z0-9-]+", word)}
        if name in COMMANDS:
            extra = OPTIONS[name] | {"--help"}
            assert options <= extra, f"scenelet {name} does not have {options - extra}"
        elif words[0] == "scenelet" and len(words) > 1 and not words[1].isupper() and words[1] not in GLOBAL:
            assert words[1] in {whole.split()[0] for whole in COMMANDS}, " ".join(words)
        elif words[0].startswith("--"):
            known = {"--help", *GLOBAL}.union(*OPTIONS.values())
            assert words[0].partition("=")[0] in known, f"no command has {words[0]}"
        assert unknown_settings(words) == [], words


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Split words into the command and its arguments; a command of a group has two words."""
    whole = " ".join(words[:2])
    if whole in COMMANDS:
        return whole, words[2:]
    return (words[0], words[1:]) if words else ("", [])


def unknown_settings(words: list[str]) -> list[str]:
    """Return dotted words of a settings section, such as `prune.epochs`, that are not settings."""
    dotted = [re.match(r"([a-z]+)\.([a-z_0-9]+)(=|$)", word) for word in words]
    keys = [f"{match[1]}.{match[2]}" for match in dotted if match and match[1] in SECTIONS]
    return [key for key in keys if key not in setting_keys() and not key.endswith(FILES)]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_links_to_files_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"https?://|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_paths_of_the_project_exist(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|benchmarks|tools|fuzz)/[\w./-]+)`", page.read_text())
    assert [path for path in named if not (pages.ROOT / path).exists()] == []
