"""Directives that write the reference of commands and of settings from the code itself, so that it never lags."""

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from scenelet.cli import app as cli
from scenelet.config import RunConfig, Settings


def all_commands() -> Iterator[tuple[str, Any]]:
    """`(words, command)` of the command line, "submit write" for a command of a group.

    A command is click's, or that of the click which comes within newer versions of typer.
    """
    yield from _below(typer.main.get_command(cli), "")


def _below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _below(inner, f"{words} {name}".strip())


class Commands(SphinxDirective):
    """`{commands}`: a section for each command, from what `--help` says."""

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        return [self._section(words, command) for words, command in all_commands()]

    def _section(self, words: str, command: Any) -> nodes.section:
        section = nodes.section(ids=[f"scenelet-{words.replace(' ', '-')}"], names=[f"scenelet {words}"])
        section += nodes.title("", f"scenelet {words}")
        self.state.document.note_explicit_target(section)
        context = command.context_class(command, info_name=f"scenelet {words}")
        usage = " ".join(command.collect_usage_pieces(context))
        section += nodes.literal_block("", f"scenelet {words} {usage}", language="text")
        section += nodes.paragraph("", command.help or "")
        for title, kind in (("arguments", "argument"), ("options", "option")):
            own = [p for p in command.params if p.param_type_name == kind]  # without --help
            rows = [self._row(parameter, context) for parameter in own]
            if rows:
                section += nodes.rubric("", title)
                section += nodes.definition_list("", *rows)
        return section

    def _row(self, parameter: Any, context: Any) -> nodes.definition_list_item:
        record = parameter.get_help_record(context)
        name, text = record or ("", "")
        term = nodes.term("", "", nodes.literal(name, name))
        return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", text)))


class SettingsTable(SphinxDirective):
    """`{settings}`: every setting that `--set` and recipe files know, with its default."""

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        sections: list[nodes.Node] = []
        alone = [(name, field) for name, field in RunConfig.model_fields.items() if not _is_room(field)]
        for name, field in RunConfig.model_fields.items():
            if _is_room(field):
                room = type(field.default)
                inner = [(f"{name}.{key}", one) for key, one in room.model_fields.items()]
                sections.append(self._section(name, (room.__doc__ or "").strip(), inner))
        return [*sections, self._section("the run", "Settings in no section.", alone)]

    def _section(self, name: str, text: str, fields: list[tuple[str, Any]]) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(f"settings-{name}")], names=[f"settings {name}"])
        section += nodes.title("", name)
        self.state.document.note_explicit_target(section)
        section += nodes.paragraph("", text.splitlines()[0].replace("`", ""))
        rows = []
        for key, field in fields:
            term = nodes.term("", "", nodes.literal("", f"{key} = {shown(field.default)}"))
            said = ". ".join(part for part in (field.description or "", _choices(field.annotation)) if part)
            rows.append(nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", said))))
        section += nodes.definition_list("", *rows)
        return section


def shown(value: object) -> str:
    """A default as a recipe file would have it."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)


def _is_room(field: Any) -> bool:
    return isinstance(field.default, Settings)


def _choices(annotation: Any) -> str:
    values = getattr(annotation, "__args__", ())
    return "One of " + ", ".join(values) if values and all(isinstance(one, str) for one in values) else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("commands", Commands)
    app.add_directive("settings", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
