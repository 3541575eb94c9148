"""A check that the finished site loads nothing from other hosts; otherwise the build fails."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
LOADS = {"src", "srcset", "data", "poster", "action", "background"}
"""Attributes whose address a browser loads for any tag; for <link> it is href."""
NEVER_LOADED = {"canonical", "alternate", "author", "license", "next", "prev", "search", "index"}
"""Types of <link> that a browser does not load."""
ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?\s*((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Page(HTMLParser):
    """Parser that collects the addresses that a page loads from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of a tag; the parser calls this."""
        values = {name: value or "" for name, value in attrs}
        asked = [values[name] for name in LOADS & set(values)]
        if tag == "link" and not set(values.get("rel", "").lower().split()) & NEVER_LOADED:
            asked.append(values.get("href", ""))
        self.found += [f"<{tag}> {address}" for address in asked if ELSEWHERE.match(address)]
        self.found += [f"<{tag} style> {address}" for address in IN_STYLE.findall(values.get("style", ""))]


def loaded_from_elsewhere(text: str, style: bool = False) -> list[str]:
    """Return what a page, or with `style` a style sheet, loads from other hosts. Clickable links do not count."""
    if style:
        return [f"style {address}" for address in IN_STYLE.findall(text)]
    page = _Page()
    page.feed(text)
    within = "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL | re.IGNORECASE))
    return page.found + [f"<style> {address}" for address in IN_STYLE.findall(within)]


def faults(folder: Path) -> Iterator[str]:
    """Yield `page: address` for everything that the site in `folder` loads from other hosts."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            text = path.read_text(encoding="utf-8")
            for address in loaded_from_elsewhere(text, style=path.suffix == ".css"):
                yield f"{path.relative_to(folder)}: {address}"


def check(app: Sphinx, exception: Exception | None) -> None:
    """Check the finished site; Sphinx calls this."""
    if exception is None and app.builder.format == "html":
        for fault in faults(Path(app.outdir)):
            logger.warning("the site loads from another host: %s", fault)
            app.statuscode = 1


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
