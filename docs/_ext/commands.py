"""Directives that generate the reference of commands and settings from the code."""

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from scenelet.cli import app as cli
from scenelet.config import RunConfig, Settings
from scenelet.config.recipes import load_recipe

DEFAULT_RECIPE = load_recipe("default")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield `(words, command)` of each command; a command of a group has two words, such as "submit write".

    The command is a click command. Newer versions of typer include their own click.
    """
    yield from _below(typer.main.get_command(cli), "")


def _below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _below(inner, f"{words} {name}".strip())


class Commands(SphinxDirective):
    """The directive `{commands}`: a section per command with the content of `--help`."""

    def run(self) -> list[nodes.Node]:
        """Run the directive; Sphinx calls this."""
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
    """The directive `{settings}`: every setting of `--set` and recipe files, with its value in the default recipe.

    The default of a setting itself, which holds in a recipe without a base, is named where it differs.
    """

    def run(self) -> list[nodes.Node]:
        """Run the directive; Sphinx calls this."""
        sections: list[nodes.Node] = []
        top_level = [(name, field) for name, field in RunConfig.model_fields.items() if not _is_section(field)]
        for name, field in RunConfig.model_fields.items():
            if _is_section(field):
                section = type(field.default)
                inner = [(f"{name}.{key}", one) for key, one in section.model_fields.items()]
                sections.append(self._section(name, (section.__doc__ or "").strip(), inner))
        return [*sections, self._section("the run", "Settings in no section.", top_level)]

    def _section(self, name: str, text: str, fields: list[tuple[str, Any]]) -> nodes.section:
        section = nodes.section(ids=[nodes.make_id(f"settings-{name}")], names=[f"settings {name}"])
        section += nodes.title("", name)
        self.state.document.note_explicit_target(section)
        section += nodes.paragraph("", text.splitlines()[0].replace("`", ""))
        rows = []
        for key, field in fields:
            value: Any = DEFAULT_RECIPE
            for part in key.split("."):
                value = getattr(value, part)
            differs = "" if value == field.default else f"A recipe without a base has {shown(field.default)}"
            term = nodes.term("", "", nodes.literal("", f"{key} = {shown(value)}"))
            said = ". ".join(part for part in (field.description or "", _choices(field.annotation), differs) if part)
            rows.append(nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", said))))
        section += nodes.definition_list("", *rows)
        return section


def shown(value: object) -> str:
    """Format a default as in a recipe file."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)


def _is_section(field: Any) -> bool:
    return isinstance(field.default, Settings)


def _choices(annotation: Any) -> str:
    values = getattr(annotation, "__args__", ())
    return "One of " + ", ".join(values) if values and all(isinstance(one, str) for one in values) else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("commands", Commands)
    app.add_directive("settings", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
