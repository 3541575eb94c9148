"""A headless browser for tests of pages: what a page asks for elsewhere, and what it complains of, fails the test."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scenelet.model.pretrained import example

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ALLOWED = ("file:", "data:", "blob:", "about:")
FIRST_WINDOW_MS = 20_000  # a window takes 5 s, and the machine may be busy
EXAMPLE = example("esc10") or Path()
"""A recording of a dog."""
HERE = ("localhost", "127.0.0.1", "[::1]")


def executable() -> str:
    """Path of Chromium; skips the test where there is none, or no playwright."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page can be opened")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed: no page can be opened")
    return found


def is_elsewhere(url: str) -> bool:
    """Whether a request leaves the machine."""
    if url.startswith(ALLOWED):
        return False
    host = url.partition("://")[2].partition("/")[0].partition("?")[0]
    return host.rpartition(":")[0] not in HERE and host not in HERE


@contextmanager
def opened(browser: Any, url: str, width: int = 1280, height: int = 900, **context: Any) -> Iterator[Any]:
    """A tab with the page; at the end no request has gone elsewhere, and nothing was said in the console as an error.

    Args:
        browser: the fixture `browser`.
        url: of the page.
        width, height: of the view, px.
        context: more of playwright's `new_context`, e.g. `color_scheme="dark"`.
    """
    faults: list[str] = []
    own = browser.new_context(viewport={"width": width, "height": height}, **context)
    try:
        page = own.new_page()
        page.on("request", lambda request: faults.append(f"asks {request.url}") if is_elsewhere(request.url) else None)
        page.on("websocket", lambda socket: faults.append(f"asks {socket.url}") if is_elsewhere(socket.url) else None)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url, wait_until="load")
        yield page
        assert not faults, faults
    finally:
        own.close()


def scrolls_sideways(page: Any) -> bool:
    """Whether the page is wider than its view."""
    width: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return width


def is_drawn(page: Any, selector: str = "canvas") -> bool:
    """Whether every canvas that is found, one at least, has pixels of more than one color."""
    drawn: bool = page.evaluate(
        """(selector) => {
          const all = [...document.querySelectorAll(selector)];
          return all.length > 0 && all.every((canvas) => {
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            const pixels = new Uint32Array(data.buffer);
            return pixels.some((pixel) => pixel !== pixels[0]);
          });
        }""",
        selector,
    )
    return drawn


def drop(page: Any, path: Path) -> None:
    """Drop a file onto the page."""
    data = path.read_bytes().hex()
    transfer = page.evaluate_handle(
        """([hex, name]) => {
            const bytes = Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [data, path.name],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": transfer})


def check_live(page: Any) -> None:
    """Listen live to a fake microphone that plays the example: the spectrogram is drawn, and the bars move."""
    from playwright.sync_api import expect

    page.get_by_role("button", name="Listen live").click()
    expect(page.locator("#now-time")).to_have_text(re.compile(r"^\d+ s$"), timeout=FIRST_WINDOW_MS)
    assert is_drawn(page, "#now-spectrogram")
    expect(page.locator("#now-label")).to_have_text("dog", timeout=FIRST_WINDOW_MS)
    before = page.locator("#now-bars .number").all_inner_texts()
    expect(page.locator("#now-bars .number")).not_to_have_text(before, timeout=FIRST_WINDOW_MS)
    page.get_by_role("button", name="Stop listening").click()
    expect(page.get_by_role("button", name="Listen live")).to_be_visible()
