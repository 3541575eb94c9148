"""Pictures of the pages for the docs: wide and narrow, light and dark.

    scenelet evaluate MODEL DATA --out report
    scenelet export esc10 --to web --out site
    scenelet timeline MODEL RECORDINGS --out timeline
    python tools/screenshots.py report --site site --timeline timeline --out docs/pages

The live page is that of the built-in model, with the recording that comes along: dropped, and as a microphone. Needs
playwright and a Chromium. Each picture is the top of a page, in a palette of 256 colors.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scenelet.model.pretrained import example
from scenelet.utils.files import make_folder, replace_file

SHOTS = (
    ("report-desktop-light", "report.html", 1280, 1600, "light"),
    ("report-phone-dark", "report.html", 375, 1500, "dark"),
    ("listening-desktop-dark", "listening.html", 1280, 1100, "dark"),
    ("listening-phone-light", "listening.html", 375, 1250, "light"),
    ("live-desktop-light", "live", 1280, 980, "light"),
    ("live-phone-dark", "live", 375, 1250, "dark"),
    ("web-desktop-light", "web", 1280, 980, "light"),
    ("web-phone-dark", "web", 390, 1250, "dark"),
    ("timeline-desktop-light", "timeline", 1280, 1150, "light"),
    ("timeline-phone-dark", "timeline", 390, 1400, "dark"),
)
"""Name, page, width and height in px, and colors."""
COLORS = 256
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
LONG = 60_000  # milliseconds that a page may take


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path, help="folder that scenelet evaluate wrote")
    parser.add_argument("--site", type=Path, required=True, help="folder that scenelet export --to web wrote")
    parser.add_argument("--timeline", type=Path, required=True, help="folder that scenelet timeline wrote")
    parser.add_argument("--only", metavar="PAGE", help="take the pictures of one page, e.g. timeline")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    make_folder(options.out)
    recording = example("esc10")
    web_page = (options.site / "index.html").resolve().as_uri()
    assert recording is not None
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch, service() as address:
        heard = Path(scratch) / "heard.wav"
        sound, rate = soundfile.read(recording)
        soundfile.write(heard, np.tile(soxr.resample(sound, rate, 48000), 4), 48000, subtype="PCM_16")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", *MICROPHONE, f"--use-file-for-fake-audio-capture={heard}"],
        )
        for name, page, width, height, colors in SHOTS:
            if options.only not in (None, page):
                continue
            with tab(browser, width, height, colors) as opened:
                if page in ("live", "web"):
                    show_live(opened, address if page == "live" else web_page, recording)
                elif page == "timeline":
                    show_event(opened, options.timeline / "timeline.html")
                else:
                    opened.goto((options.report / page).resolve().as_uri())
                    opened.wait_for_load_state("networkidle")
                picture = reduce_colors(opened.screenshot())
            replace_file(options.out / f"{name}.png", picture)
            print(f"{name}.png: {len(picture):,} bytes")
        browser.close()


@contextmanager
def service() -> Iterator[str]:
    """Run a service of the built-in model and yield its address."""
    command = [sys.executable, "-m", "scenelet", "serve", "esc10", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        found = re.search(r"http://\S+", running.stderr.readline())
        assert found is not None
        yield found[0]
        running.terminate()


@contextmanager
def tab(browser: Browser, width: int, height: int, colors: str) -> Iterator[Page]:
    """Open an empty page of this size, with two pixels per point on a phone."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colors,  # type: ignore[arg-type]
        device_scale_factor=2 if width < 600 else 1,
    )
    yield context.new_page()
    context.close()


def show_live(page: Page, address: str, recording: Path) -> None:
    """Show a recording in the history and some seconds of the microphone."""
    page.goto(address)
    page.set_input_files("#files", recording)
    expect(page.locator("#history .answer.good")).to_have_count(1, timeout=LONG)
    page.locator("#history summary").click()
    page.locator("#live").click()
    expect(page.locator("#now-time")).to_have_text("8 s", timeout=LONG)


def show_event(page: Page, timeline: Path) -> None:
    """Show the first event of a timeline that has a spectrogram, under its row of the picture."""
    page.goto(timeline.resolve().as_uri())
    page.evaluate("choose(DATA.events.findIndex((event) => event.picture), false)")
    page.locator("#event canvas").wait_for()
    page.evaluate("scrollTo(0, 0)")


def reduce_colors(png: bytes) -> bytes:
    """Reduce the colors of a screenshot and return it as PNG."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS, kmeans=3, dither=Image.Dither.NONE)
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


if __name__ == "__main__":
    main()
