"""Redirect links that leave docs/, which are written for a code host, to the site's own pages.

A link to a Markdown file becomes a link to its page, and a link to a folder becomes its name. MyST itself turns a link
to another file into a download.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

PAGES = {"../src/scenelet/model/pretrained/esc10.md": "esc10.md", "../CHANGELOG.md": "changelog.md"}
OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")


def led(text: str, folder: Path) -> str:
    """Return the Markdown of a page in `folder` with its outside links redirected."""

    def lead(match: re.Match[str]) -> str:
        name, target = match.groups()
        if target in PAGES:
            return f"[{name}]({PAGES[target]})"
        return f"`{name.strip('`')}`" if (folder / target).is_dir() else match[0]

    return OUTSIDE.sub(lead, text)


def read(app: Sphinx, _: str, content: list[str]) -> None:
    """Redirect the links of a page; Sphinx calls this with its text."""
    content[0] = led(content[0], Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
