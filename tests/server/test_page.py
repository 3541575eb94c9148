"""The page in a browser: files and a microphone, by mouse, by keyboard and on a phone; nothing leaves this machine."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Browser, Page, expect

from helpers.browser import is_drawn, opened, scrolls_sideways
from scenelet.model.pretrained import built_in

EXAMPLE = built_in("esc10").with_name("esc10.example.ogg")  # type: ignore[union-attr]
FIRST = 20_000  # milliseconds until a window of 5 s has been heard, on a busy machine


@pytest.fixture(scope="module")
def hearing_browser(launch: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A browser whose microphone hears barking, and then louder and louder noise, again and again."""
    sound, rate = soundfile.read(EXAMPLE)
    bark = np.tile(soxr.resample(sound, rate, 48000), 2)
    noise = np.linspace(0, 0.5, 4 * 48000) * np.random.default_rng(0).standard_normal(4 * 48000).clip(-2, 2)
    fake = tmp_path_factory.mktemp("microphone") / "dog.wav"
    soundfile.write(fake, np.concatenate([bark, noise]), 48000, subtype="PCM_16")
    return launch(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={fake}",
    )


def drop(page: Page, path: Path) -> None:
    """Let a file fall onto the page, as a person would."""
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


def test_a_dropped_file_gets_its_label(hearing_browser: Browser, esc10_service: str) -> None:
    with opened(hearing_browser, esc10_service) as page:
        drop(page, EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile(r"^dog 9\d\.\d %$"))
        page.locator("#history summary").click()
        assert is_drawn(page, "#history canvas")
        load = "a => new Promise((done) => { a.onloadedmetadata = () => done(a.duration); a.load(); })"
        assert page.locator("#history audio").evaluate(load) > 4
        expect(page.locator("#history .bars .first")).to_have_text("dog")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#history li")).to_have_count(0)


def test_several_files_each_with_its_answer(hearing_browser: Browser, esc10_service: str, tmp_path: Path) -> None:
    quiet = tmp_path / "<b>50% #1.wav"
    soundfile.write(quiet, np.zeros(44100), 44100)
    with opened(hearing_browser, esc10_service) as page:
        page.set_input_files("#files", [EXAMPLE, quiet])
        expect(page.locator("#history .answer:not(.soft)")).to_have_count(2)
        assert set(page.locator("#history .name:not(.bars *)").all_inner_texts()) == {EXAMPLE.name, quiet.name}


def test_a_file_that_is_none_says_so(hearing_browser: Browser, esc10_service: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no sound")
    context = hearing_browser.new_context()
    page = context.new_page()
    page.goto(esc10_service)
    page.set_input_files("#files", text)
    expect(page.locator("#history .answer.bad")).to_contain_text("not a recording that can be read")
    context.close()


def test_the_microphone_is_heard_live(hearing_browser: Browser, esc10_service: str) -> None:
    with opened(hearing_browser, esc10_service) as page:
        page.get_by_role("button", name="Listen live").click()
        expect(page.locator("#now-time")).to_have_text(re.compile(r"^\d+ s$"), timeout=FIRST)
        assert is_drawn(page, "#now-spectrogram")
        expect(page.locator("#now-label")).to_have_text("dog", timeout=FIRST)
        before = page.locator("#now-bars .number").all_inner_texts()
        expect(page.locator("#now-bars .number")).not_to_have_text(before, timeout=FIRST)  # they move
        page.get_by_role("button", name="Stop listening").click()
        expect(page.get_by_role("button", name="Listen live")).to_be_visible()


def test_all_of_it_by_keyboard(hearing_browser: Browser, esc10_service: str) -> None:
    with opened(hearing_browser, esc10_service) as page:
        choosers: list[Any] = []
        page.on("filechooser", lambda chooser: choosers.append(chooser))
        for _ in range(3):  # past the two links
            page.keyboard.press("Tab")
        while not choosers:  # the driver asks for them, and does not say from when on it gets them
            page.keyboard.press("Enter")
            page.wait_for_timeout(300)
        choosers[0].set_files(EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile("^dog"))
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        expect(focused).to_have_text("Record")
        page.keyboard.press("Space")
        expect(focused).to_have_text("Stop and classify")
        expect(page.locator("#now-time")).to_have_text(re.compile(r"^[1-9]\.\d s$"), timeout=FIRST)
        page.keyboard.press("Space")
        expect(page.locator("#history li")).to_have_count(2)
        expect(page.locator("#history .answer:not(.soft)")).to_have_count(2)
        page.keyboard.press("Tab")  # Clear
        page.keyboard.press("Tab")  # the newest answer
        page.keyboard.press("Enter")
        expect(page.locator("#history li:first-child canvas")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(hearing_browser: Browser, esc10_service: str, scheme: str) -> None:
    with opened(hearing_browser, esc10_service, 375, 740, color_scheme=scheme, has_touch=True) as page:
        page.set_input_files("#files", EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile("^dog"))
        page.locator("#history summary").tap()
        assert not scrolls_sideways(page)
        for button in page.get_by_role("button").all():
            if button.is_visible():
                box = button.bounding_box()
                assert box is not None
                assert box["height"] >= 44  # a finger's width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light == {"light": "rgb(251, 251, 249)", "dark": "rgb(20, 24, 27)"}[scheme]


def test_the_api_page_works_offline(hearing_browser: Browser, esc10_service: str) -> None:
    with opened(hearing_browser, f"{esc10_service}/docs") as page:
        expect(page.locator(".opblock-summary-path").get_by_text("/predict")).to_be_visible()
