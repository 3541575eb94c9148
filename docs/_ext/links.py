"""Links that leave docs/: written as a code host wants them, and led to where the site has the same thing.

A file becomes a download, which MyST does by itself; a Markdown file, its page; a folder, its name.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

PAGES = {"../src/scenelet/model/pretrained/esc10.md": "esc10.md", "../CHANGELOG.md": "changelog.md"}
OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")


def led(text: str, folder: Path) -> str:
    """The Markdown of a page in `folder`, with its links out of it."""

    def lead(match: re.Match[str]) -> str:
        name, target = match.groups()
        if target in PAGES:
            return f"[{name}]({PAGES[target]})"
        return f"`{name.strip('`')}`" if (folder / target).is_dir() else match[0]

    return OUTSIDE.sub(lead, text)


def read(app: Sphinx, _: str, content: list[str]) -> None:
    """Called by Sphinx with the text of a page."""
    content[0] = led(content[0], Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
