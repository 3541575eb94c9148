"""The pages in a browser: no network access, no sideways scrolling on a phone, working players and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.browser import is_drawn, is_elsewhere, opened, scrolls_sideways
from helpers.tiny_model import changed, tiny_model
from scenelet.config import WindowConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.listening_page import listening_page
from scenelet.inference.classifier import Classifier

PAGES = ("report.html", "listening.html")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_pages_open_without_errors_and_fit_a_phone(browser: Any, malicious: Any, name: str, colors: str) -> None:
    url = (malicious.folder / name).as_uri()
    with opened(browser, url, width=375, height=700, color_scheme=colors) as page:
        assert not scrolls_sideways(page)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert not scrolls_sideways(page)
        assert page.evaluate("typeof fail") == "undefined"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 24, 27)") == (colors == "dark")
        if name == "listening.html":
            assert is_drawn(page)


def test_figure_files_follow_the_color_scheme(browser: Any, malicious: Any) -> None:
    for colors, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 34, 38)")):
        for name in ("confusion", "classes", "cities", "devices", "reliability", "detection", "curves"):
            with opened(browser, (malicious.folder / f"{name}.svg").as_uri(), color_scheme=colors) as page:
                assert page.evaluate("getComputedStyle(document.querySelector('.ground')).fill") == paper


def test_figures_cut_off_no_text(browser: Any, malicious: Any) -> None:
    outside = """() => [...document.querySelectorAll("text")].filter((text) => {
      const own = text.getBoundingClientRect(), all = document.documentElement.getBoundingClientRect();
      return own.left < all.left || own.right > all.right || own.top < all.top || own.bottom > all.bottom;
    }).map((text) => text.textContent)"""
    for name in ("confusion", "classes", "cities", "devices", "reliability", "detection", "curves"):
        with opened(browser, (malicious.folder / f"{name}.svg").as_uri()) as page:
            assert page.evaluate(outside) == [], name


def test_listening_page_plays_every_recording(browser: Any, malicious: Any) -> None:
    with opened(browser, (malicious.folder / "listening.html").as_uri()) as page:
        assert page.locator("audio").count() == len(malicious.anchors)
        page.wait_for_function("[...document.querySelectorAll('audio')].every((audio) => audio.readyState >= 1)")
        lengths = page.evaluate("[...document.querySelectorAll('audio')].map((audio) => audio.duration)")
        expected = [0.9 if index == 0 else 0.3 for index in malicious.anchors]
        assert lengths == pytest.approx(expected, abs=0.05)  # Ogg ends with a whole packet
        assert page.locator(".silent:visible").count() == 0


def test_click_moves_the_player_which_moves_the_cursor(browser: Any, malicious: Any) -> None:
    with opened(browser, (malicious.folder / "listening.html").as_uri()) as page:
        clip = page.locator(f"#{malicious.anchors[0]}")  # five windows of 0.2 s, three of them shown
        assert clip.locator(".window").count() == 3
        audio, last = clip.locator("audio"), clip.locator(".window").last.locator(".plot").first
        page.wait_for_function("(audio) => audio.readyState >= 1", arg=audio.element_handle())
        start = float(last.get_attribute("data-start") or "")
        box = last.bounding_box()
        last.click(position={"x": box["width"] / 2, "y": 20})
        # the middle of 13 frames is that of frame 6, which is the sound around 6 hops of 16 ms
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(start + 0.096, abs=0.002)
        cursor = last.locator(".cursor")
        assert float(cursor.evaluate("(cursor) => parseFloat(cursor.style.left)")) == pytest.approx(50, abs=1)
        assert clip.locator(".window").first.locator(".cursor:visible").count() == 0
        audio.evaluate(f"(audio) => {{ audio.currentTime = {start} + 0.032; }}")
        page.wait_for_function(
            "(cursor) => Math.abs(parseFloat(cursor.style.left) - 2.5 / 13 * 100) < 1", arg=cursor.element_handle()
        )


def test_keyboard_controls_the_spectrogram(browser: Any, malicious: Any) -> None:
    with opened(browser, (malicious.folder / "listening.html").as_uri()) as page:
        clip = page.locator(f"#{malicious.anchors[0]}")
        audio, plot = clip.locator("audio"), clip.locator(".plot").first
        page.wait_for_function("(audio) => audio.readyState >= 1", arg=audio.element_handle())
        start = float(plot.get_attribute("data-start") or "")
        plot.focus()
        page.keyboard.press("Home")
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(start + 10 * 0.2 / 50, abs=0.002)
        assert plot.get_attribute("aria-valuenow") == "0.04"
        audio.evaluate("(audio) => { audio.onplay = () => { audio.dataset.played = 'yes'; }; }")
        page.keyboard.press("Space")
        page.wait_for_function("(audio) => audio.dataset.played === 'yes'", arg=audio.element_handle())


def test_linked_part_of_a_recording_begins_at_its_start(browser: Any, tmp_path: Path) -> None:
    """A part from 2 to 4 s; the middle of its window of 1 s is at 2.5 s of the recording."""
    classifier = Classifier(changed(tiny_model(), window=WindowConfig(seconds=1)), threads=1)
    soundfile.write(tmp_path / "long.flac", np.random.default_rng(0).uniform(-0.2, 0.2, 5 * 8000), 8000)
    clip = Clip(tmp_path / "long.flac", "long.flac@2-4", "indoor", "long.flac", start=2.0, end=4.0)
    prediction = ClipPrediction.from_clip(clip, classifier.labels, (0.2, 0.6, 0.2), [[0.2, 0.6, 0.2], [0.3, 0.5, 0.2]])
    html, _ = listening_page(
        [classifier], [prediction], ClipTable(tmp_path, "folders", (clip,)), tmp_path / "listening.html", "m", 1, "link"
    )
    (tmp_path / "listening.html").write_text(html)
    with opened(browser, (tmp_path / "listening.html").as_uri()) as page:
        audio, plot = page.locator("audio"), page.locator(".plot").first
        page.wait_for_function("(audio) => audio.readyState >= 1 && audio.currentTime > 0", arg=audio.element_handle())
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(2, abs=0.01)
        plot.click(position={"x": plot.bounding_box()["width"] / 2, "y": 20})
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(2.5, abs=0.02)


def test_click_on_repeated_sound_of_an_embedded_part(browser: Any, tmp_path: Path) -> None:
    """A recording of 31 s in windows of 1 s; each has half a second of sound, from 0.25 s on."""
    window = WindowConfig(seconds=1, pad_mode="repeat", min_sound_seconds=0.1)
    classifier = Classifier(changed(tiny_model(), window=window), threads=1)
    samples = np.tile(np.r_[np.zeros(2000), np.random.default_rng(0).uniform(0.1, 0.2, 4000), np.zeros(2000)], 31)
    soundfile.write(tmp_path / "long.flac", samples, 8000)
    windows = np.full((31, 3), 0.25)
    windows[20, 1] = 0.75  # selects the shown windows and the begin of the embedded part
    windows[21:23, 1] = 0.5
    clip = Clip(tmp_path / "long.flac", "long.flac", "indoor", "street")
    prediction = ClipPrediction.from_clip(clip, classifier.labels, (0.2, 0.6, 0.2), windows.tolist())
    table = ClipTable(tmp_path, "folders", (clip,))
    html, _ = listening_page([classifier], [prediction], table, tmp_path / "listening.html", "m", 1, "embed")
    (tmp_path / "listening.html").write_text(html)
    with opened(browser, (tmp_path / "listening.html").as_uri()) as page:
        audio, plots = page.locator("audio"), page.locator(".plot:first-of-type, .hertz:first-child + .plot")
        page.wait_for_function("(audio) => audio.readyState >= 1", arg=audio.element_handle())
        assert audio.evaluate("(audio) => audio.duration") == pytest.approx(30, abs=0.01)  # the last 30 s of 31
        plot = plots.nth(1)
        assert float(plot.get_attribute("data-start") or "") == 21
        frames, frame = int(plot.get_attribute("data-frames") or ""), 128 / 8000
        box = plot.bounding_box()
        at = 0.7  # s of the window: the sound begins again at 0.5 s, so this is 0.2 s into it
        plot.click(position={"x": box["width"] * (at / frame + 0.5) / frames, "y": 20})
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(20 + 0.25 + 0.2, abs=0.005)
        lefts = [
            float(left)
            for left in plot.locator(".cursor").evaluate_all("all => all.map(c => parseFloat(c.style.left))")
        ]
        assert lefts == pytest.approx([100 * (t / frame + 0.5) / frames for t in (0.2, 0.7)], abs=0.5)


def test_windows_outside_of_the_embedded_part_are_images(browser: Any, tmp_path: Path) -> None:
    """The player holds the last 30 s of a recording of 60 s; the page shows its beginning and its end."""
    classifier = Classifier(changed(tiny_model(), window=WindowConfig(seconds=1)), threads=1)
    soundfile.write(tmp_path / "long.flac", np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 8000), 8000)
    windows = np.full((60, 3), 0.25)
    windows[[0, 58, 59], 1] = 0.5, 0.6, 0.75
    clip = Clip(tmp_path / "long.flac", "long.flac", "indoor", "street")
    prediction = ClipPrediction.from_clip(clip, classifier.labels, (0.2, 0.6, 0.2), windows.tolist())
    table = ClipTable(tmp_path, "folders", (clip,))
    html, _ = listening_page([classifier], [prediction], table, tmp_path / "listening.html", "m", 1, "embed")
    (tmp_path / "listening.html").write_text(html)
    with opened(browser, (tmp_path / "listening.html").as_uri()) as page:
        roles = page.locator(".hertz:first-child + .plot").evaluate_all("all => all.map(p => p.getAttribute('role'))")
        assert roles == ["img", "slider", "slider"]
        assert page.get_by_text("does not include this window").count() == 1


def test_early_audio_errors_are_shown(browser: Any, malicious: Any) -> None:
    page = (malicious.folder / "listening.html").read_text()
    broken = malicious.folder.parent / "broken.html"
    # dead links before a long text: the browser finds the errors before it reads the script
    page = page.replace('<audio controls preload="metadata" src="', '<audio controls preload="metadata" src="no/such/')
    broken.write_text(page.replace("<footer>", f"<p hidden>{'x' * 6_000_000}</p><footer>"))
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(broken.as_uri())
    tab.wait_for_function("[...document.querySelectorAll('.silent')].every((line) => !line.hidden)")
    assert tab.locator(".silent").count() > 0
    context.close()


def test_opened_notices_errors_of_a_page(browser: Any, tmp_path: Any) -> None:
    for text in (
        "<script>console.error('oh')</script>",
        "<script>fail()</script>",
        "<img src='http://192.0.2.1/x.png'>",
    ):
        (tmp_path / "bad.html").write_text(f"<!doctype html>{text}")
        with pytest.raises(AssertionError), opened(browser, (tmp_path / "bad.html").as_uri()) as page:
            page.wait_for_timeout(50)
    assert is_elsewhere("https://localhost.example.org/")
    assert not is_elsewhere("http://127.0.0.1:8000/a")
