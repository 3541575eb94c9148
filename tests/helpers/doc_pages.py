"""Readers of the documentation for its tests: pages, commands in console blocks, code in sentences."""

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NOTEBOOK = ROOT / "docs" / "walkthrough.ipynb"
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def commands(text: str) -> list[list[str]]:
    """Return the words of each command in a page's console blocks, without comments."""
    lines = [
        line[2:]
        for kind, block in BLOCK.findall(text)
        if kind == "console"
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    return [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]


def named(text: str) -> list[list[str]]:
    """Return the words of each piece of code in a page's sentences."""
    return [code.split() for code in NAMED.findall(BLOCK.sub("", text))]


def sentences(page: Path) -> str:
    """Return the Markdown of a page or of a notebook's cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
