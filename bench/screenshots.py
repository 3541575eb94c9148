"""Pictures of the pages for the docs: wide and narrow, light and dark.

    scenelet evaluate MODEL DATA --out report
    python bench/screenshots.py report --out docs/pages

Needs playwright and a Chromium. Each picture is the top of a page, in a palette of 256 colours.
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from scenelet.files import make_folder, replace_file

SHOTS = (
    ("report-desktop-light", "report.html", 1280, 1600, "light"),
    ("report-phone-dark", "report.html", 375, 1500, "dark"),
    ("listening-desktop-dark", "listening.html", 1280, 1100, "dark"),
    ("listening-phone-light", "listening.html", 375, 1250, "light"),
)
"""Name, page, width and height in px, and colours."""
COLOURS = 256


def shoot(browser: Browser, page: Path, width: int, height: int, colours: str) -> bytes:
    """The top of a page as PNG."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colours,  # type: ignore[arg-type]
        device_scale_factor=2 if width < 600 else 1,
    )
    tab = context.new_page()
    tab.goto(page.resolve().as_uri())
    tab.wait_for_load_state("networkidle")
    picture = (
        Image.open(io.BytesIO(tab.screenshot())).convert("RGB").quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE)
    )
    context.close()
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path, help="folder that scenelet evaluate wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    make_folder(options.out)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for name, page, width, height, colours in SHOTS:
            picture = shoot(browser, options.report / page, width, height, colours)
            replace_file(options.out / f"{name}.png", picture)
            print(f"{name}.png: {len(picture):,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
