"""A headless Chromium for tests of our pages, and a page that notes what it should not do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PHONE = {"width": 375, "height": 740}
OWN = ("http://127.0.0.1:", "ws://127.0.0.1:", "file:", "data:", "blob:", "about:")


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Debian's Chromium (`make chromium`); the test skips where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine: `make chromium` installs it on Debian")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments]
        )
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, **options: object) -> Iterator[Page]:
    """A page in a context of its own; at the end it must have had no error, and have asked nobody but this machine."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(OWN) else faults.append(request.url))
    page.on("websocket", lambda socket: None if socket.url.startswith(OWN) else faults.append(socket.url))
    yield page
    context.close()
    assert faults == []


def fits_its_width(page: Page) -> bool:
    """Whether the page scrolls up and down only."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
