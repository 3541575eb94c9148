"""The page in a browser: files and microphone, with mouse, keyboard and phone; all requests stay local."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, expect

from helpers.browser import EXAMPLE, FIRST_WINDOW_MS, check_live, drop, is_drawn, opened, scrolls_sideways


def test_page_dropped_file_shows_label(microphone_browser: Browser, esc10_service: str) -> None:
    with opened(microphone_browser, esc10_service) as page:
        drop(page, EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile(r"^dog 100\.0 %$"))
        assert is_drawn(page, "#history canvas")  # the first card opens
        load = "a => new Promise((done) => { a.onloadedmetadata = () => done(a.duration); a.load(); })"
        assert page.locator("#history audio").evaluate(load) > 4
        expect(page.locator("#history .bars .first")).to_have_text("dog")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#history li")).to_have_count(0)


def test_page_several_files_show_one_entry_each(
    microphone_browser: Browser, esc10_service: str, tmp_path: Path
) -> None:
    quiet = tmp_path / "<b>50% #1.wav"
    soundfile.write(quiet, np.zeros(44100), 44100)
    with opened(microphone_browser, esc10_service) as page:
        page.set_input_files("#files", [EXAMPLE, quiet])
        expect(page.locator("#history .answer:not(.soft)")).to_have_count(2)
        assert set(page.locator("#history .name:not(.bars *)").all_inner_texts()) == {EXAMPLE.name, quiet.name}
        expect(page.locator("#history .answer.unsure")).to_have_text("silence")


def test_page_text_file_shows_error(microphone_browser: Browser, esc10_service: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no sound")
    context = microphone_browser.new_context()
    page = context.new_page()
    page.goto(esc10_service)
    page.set_input_files("#files", text)
    expect(page.locator("#history .answer.bad")).to_contain_text("notes.wav: not a recording that can be read")
    expect(page.locator("#history .answer.bad")).to_contain_text("convert it")
    context.close()


def test_page_title_names_sounds(microphone_browser: Browser, esc10_service: str) -> None:
    with opened(microphone_browser, esc10_service) as page:
        expect(page).to_have_title("esc10: chainsaw, clock_tick, crackling_fire and 7 more · scenelet")
        for label in ("chainsaw", "rooster", "sneezing"):
            expect(page.locator("header")).to_contain_text(label)


def test_page_first_of_several_cards_opens(microphone_browser: Browser, esc10_service: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.ogg"
    copy.write_bytes(EXAMPLE.read_bytes())
    with opened(microphone_browser, esc10_service) as page:
        for count in (1, 2):
            page.set_input_files("#files", [EXAMPLE, copy])
            expect(page.locator("#history .answer:not(.soft)")).to_have_count(2 * count)
            expect(page.locator("#history .answer")).to_have_text([re.compile("^dog")] * 2 * count)
            expect(page.locator("#history details[open]")).to_have_count(count)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recording of a minute: silence, and in its last quarter noise."""
    path = tmp_path_factory.mktemp("recordings") / "steps.wav"
    noise = 0.3 * np.random.default_rng(0).standard_normal(60 * 8000).clip(-3, 3)
    noise[: 45 * 8000] = 0
    soundfile.write(path, noise, 8000)
    return path


def test_page_spectrogram_shows_whole_recording(microphone_browser: Browser, esc10_service: str, steps: Path) -> None:
    with opened(microphone_browser, esc10_service) as page:
        page.set_input_files("#files", steps)
        canvas = page.locator("#history canvas")
        brightness = canvas.evaluate(
            """(canvas) => {
              const { width, height } = canvas;
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              return Array.from({ length: width }, (_, x) => {
                let sum = 0;
                for (let y = 0; y < height; y++) sum += data[4 * (y * width + x)];
                return sum / height;
              });
            }"""
        )
        half = max(brightness) / 2
        (first,) = [i for i in range(1, len(brightness)) if brightness[i - 1] < half <= brightness[i]]
        assert first / len(brightness) == pytest.approx(45 / 60, abs=0.01)
        expect(page.locator("#history .axis")).to_have_text("0:000:150:300:451:00")
        expect(page.locator("#history figcaption")).to_contain_text("whole recording")
        track = page.locator("#history .track")
        box = track.bounding_box()
        assert box is not None
        track.click(position={"x": 0.75 * box["width"], "y": 10})
        position = page.locator("#history audio").evaluate("(player) => player.currentTime")
        assert position == pytest.approx(45, abs=1)


@pytest.mark.parametrize("windows", [1, 60, 119, 12_000])
def test_page_many_windows_fit_phone(microphone_browser: Browser, esc10_service: str, windows: int) -> None:
    """The labels alternate, so that neighbors cannot be drawn as one."""
    with opened(microphone_browser, esc10_service, 390, 844, has_touch=True, is_mobile=True) as page:
        page.evaluate(
            """(count) => {
              const step = Math.max(1, count / 300);
              const row = (i) => MODEL.labels.map((_, j) => +(j === Math.floor(i / step) % 10));
              const rows = Array.from({ length: count }, (_, i) => row(i));
              const probabilities = Object.fromEntries(MODEL.labels.map((label) => [label, 0.1]));
              const spectrogram = { levels: btoa("\0\xff"), bands: 1, frames: 2, seconds: 5 * count };
              const result = { label: "dog", unsure: false, probabilities, windows: count, window_probabilities: rows };
              window.fetch = async () => new Response(JSON.stringify({ results: [{ ...result, spectrogram }] }));
              return classify(new File(["x"], "long.wav"), "long.wav");
            }""",
            windows,
        )
        assert not scrolls_sideways(page)
        strip = page.locator("#history .strip > span")
        assert strip.count() == (0 if windows == 1 else min(windows, 300))
        if windows > 1:
            colors = strip.evaluate_all(
                "(parts) => parts.slice(0, 8).map((part) => getComputedStyle(part).backgroundColor)"
            )
            assert len(set(colors)) == 8
            legend = page.locator("#history .legend li")
            assert legend.count() == 9
            expect(legend.last).to_have_text("2 other labels")
            card, last = page.locator("#history .card").bounding_box(), strip.last.bounding_box()
            assert card is not None
            assert last is not None
            assert last["x"] + last["width"] <= card["x"] + card["width"]


def test_page_draws_a_window_pale_below_the_threshold_of_its_label(
    microphone_browser: Browser, esc10_service: str
) -> None:
    with opened(microphone_browser, esc10_service) as page:
        runs = page.evaluate(
            """() => {
              MODEL.thresholds = [0.9, 0.6, null, ...MODEL.thresholds.slice(3)];
              const row = (label) => MODEL.labels.map((_, i) => (i === label ? 0.82 : 0.02));
              return findRuns([row(0), row(1), row(2)], 15).map(({ isSure }) => isSure);
            }"""
        )
    assert runs == [False, True, False]


def test_page_keyboard_advice_only_with_keyboard(microphone_browser: Browser, esc10_service: str) -> None:
    for width, is_mobile in ((1280, False), (390, True)):
        with opened(microphone_browser, esc10_service, width, 844, has_touch=is_mobile, is_mobile=is_mobile) as page:
            advice = page.locator("#drop kbd").first
            expect(advice).to_be_visible(visible=not is_mobile)


@pytest.mark.slow
def test_page_listen_live_shows_predictions(microphone_browser: Browser, esc10_service: str) -> None:
    with opened(microphone_browser, esc10_service) as page:
        check_live(page)


def test_page_works_with_keyboard(microphone_browser: Browser, esc10_service: str) -> None:
    with opened(microphone_browser, esc10_service) as page:
        choosers: list[Any] = []
        page.on("filechooser", lambda chooser: choosers.append(chooser))
        for _ in range(3):  # skip the two links
            page.keyboard.press("Tab")
        while not choosers:  # playwright does not say when it starts to receive file choosers
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
        expect(page.locator("#now-time")).to_have_text(re.compile(r"^[1-9]\.\d s$"), timeout=FIRST_WINDOW_MS)
        page.keyboard.press("Space")
        expect(page.locator("#history li")).to_have_count(2)
        expect(page.locator("#history .answer:not(.soft)")).to_have_count(2)
        page.keyboard.press("Tab")  # Clear
        page.keyboard.press("Tab")  # the newest entry, which is open
        for is_open in (False, True):
            page.keyboard.press("Enter")
            expect(page.locator("#history li:first-child canvas")).to_be_visible(visible=is_open)
        expect(page.locator("#history li:first-child canvas")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_phone(microphone_browser: Browser, esc10_service: str, scheme: str) -> None:
    with opened(microphone_browser, esc10_service, 375, 740, color_scheme=scheme, has_touch=True) as page:
        page.set_input_files("#files", EXAMPLE)
        expect(page.locator("#history .answer")).to_have_text(re.compile("^dog"))
        assert not scrolls_sideways(page)
        for button in page.get_by_role("button").all():
            if button.is_visible():
                box = button.bounding_box()
                assert box is not None
                assert box["height"] >= 44  # a finger's width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light == {"light": "rgb(251, 251, 249)", "dark": "rgb(20, 24, 27)"}[scheme]


def test_docs_page_works_offline(microphone_browser: Browser, esc10_service: str) -> None:
    with opened(microphone_browser, f"{esc10_service}/docs") as page:
        expect(page.locator(".opblock-summary-path").get_by_text("/predict")).to_be_visible()
