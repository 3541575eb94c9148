"""A finished site asks no other host for anything; a page that would fails the build."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
LOADS = {"src", "srcset", "data", "poster", "action", "background"}
"""Attributes whose address a browser asks for by itself, whatever the tag; of <link> it is href."""
NEVER_LOADED = {"canonical", "alternate", "author", "license", "next", "prev", "search", "index"}
"""What a <link> may be that no browser fetches for a page."""
ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?\s*((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Page(HTMLParser):
    """Collects the addresses that a page loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        values = {name: value or "" for name, value in attrs}
        asked = [values[name] for name in LOADS & set(values)]
        if tag == "link" and not set(values.get("rel", "").lower().split()) & NEVER_LOADED:
            asked.append(values.get("href", ""))
        self.found += [f"<{tag}> {address}" for address in asked if ELSEWHERE.match(address)]
        self.found += [f"<{tag} style> {address}" for address in IN_STYLE.findall(values.get("style", ""))]


def loaded_from_elsewhere(text: str, style: bool = False) -> list[str]:
    """What a page, or with `style` a style sheet, would ask other hosts for; links that a reader follows are none."""
    if style:
        return [f"style {address}" for address in IN_STYLE.findall(text)]
    page = _Page()
    page.feed(text)
    within = "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL | re.IGNORECASE))
    return page.found + [f"<style> {address}" for address in IN_STYLE.findall(within)]


def faults(folder: Path) -> Iterator[str]:
    """`page: address` of everything that the site in `folder` loads from elsewhere."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            text = path.read_text(encoding="utf-8")
            for address in loaded_from_elsewhere(text, style=path.suffix == ".css"):
                yield f"{path.relative_to(folder)}: {address}"


def check(app: Sphinx, exception: Exception | None) -> None:
    """Called by Sphinx when all is written."""
    if exception is None and app.builder.format == "html":
        for fault in faults(Path(app.outdir)):
            logger.warning("the site would ask another host: %s", fault)
            app.statuscode = 1


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
