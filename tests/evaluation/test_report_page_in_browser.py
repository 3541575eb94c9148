"""The pages in a browser: nothing asked of the network, nothing wider than a phone, players and pictures that work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.browser import is_drawn, is_elsewhere, opened, scrolls_sideways
from helpers.tiny_model import changed, tiny_model
from scenelet.config import WindowConfig
from scenelet.data.clips import Clip
from scenelet.evaluation.listening_page import listening_page
from scenelet.evaluation.report import ClipResult
from scenelet.inference.classifier import Classifier

PAGES = ("report.html", "listening.html")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_a_page_opens_without_a_fault_and_fits_a_phone(browser: Any, hostile: Any, name: str, colors: str) -> None:
    url = (hostile.folder / name).as_uri()
    with opened(browser, url, width=375, height=700, color_scheme=colors) as page:
        assert not scrolls_sideways(page)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert not scrolls_sideways(page)
        assert page.evaluate("typeof fail") == "undefined"
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 24, 27)") == (colors == "dark")
        if name == "listening.html":
            assert is_drawn(page)


def test_figures_as_files_follow_the_colours(browser: Any, hostile: Any) -> None:
    for colors, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 34, 38)")):
        for name in ("confusion", "classes", "reliability", "curves"):
            with opened(browser, (hostile.folder / f"{name}.svg").as_uri(), color_scheme=colors) as page:
                assert page.evaluate("getComputedStyle(document.querySelector('.ground')).fill") == paper


def test_no_text_of_a_figure_is_cut_off(browser: Any, hostile: Any) -> None:
    outside = """() => [...document.querySelectorAll("text")].filter((text) => {
      const own = text.getBoundingClientRect(), all = document.documentElement.getBoundingClientRect();
      return own.left < all.left || own.right > all.right || own.top < all.top || own.bottom > all.bottom;
    }).map((text) => text.textContent)"""
    for name in ("confusion", "classes", "reliability", "curves"):
        with opened(browser, (hostile.folder / f"{name}.svg").as_uri()) as page:
            assert page.evaluate(outside) == [], name


def test_every_recording_plays_whatever_its_name(browser: Any, hostile: Any) -> None:
    with opened(browser, (hostile.folder / "listening.html").as_uri()) as page:
        assert page.locator("audio").count() == len(hostile.anchors)
        page.wait_for_function("[...document.querySelectorAll('audio')].every((audio) => audio.readyState >= 1)")
        lengths = page.evaluate("[...document.querySelectorAll('audio')].map((audio) => audio.duration)")
        expected = [0.9 if index == 0 else 0.3 for index in hostile.anchors]
        assert lengths == pytest.approx(expected, abs=0.05)  # Ogg ends with a whole packet
        assert page.locator(".silent:visible").count() == 0


def test_a_click_moves_the_player_and_the_player_moves_the_cursor(browser: Any, hostile: Any) -> None:
    with opened(browser, (hostile.folder / "listening.html").as_uri()) as page:
        clip = page.locator(f"#{hostile.anchors[0]}")  # five windows of 0.2 s, three of them shown
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


def test_the_spectrogram_is_worked_by_keyboard(browser: Any, hostile: Any) -> None:
    with opened(browser, (hostile.folder / "listening.html").as_uri()) as page:
        clip = page.locator(f"#{hostile.anchors[0]}")
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


def test_where_the_sound_is_repeated_and_the_player_has_a_piece(browser: Any, tmp_path: Path) -> None:
    """A recording of 31 s in windows of 1 s, half a second of sound from 0.25 s of each on."""
    window = WindowConfig(seconds=1, pad_mode="repeat", min_sound_seconds=0.1)
    classifier = Classifier(changed(tiny_model(), window=window), threads=1)
    samples = np.tile(np.r_[np.zeros(2000), np.random.default_rng(0).uniform(0.1, 0.2, 4000), np.zeros(2000)], 31)
    soundfile.write(tmp_path / "long.flac", samples, 8000)
    windows = np.full((31, 3), 0.25)
    windows[20, 1] = 0.75  # which of them are shown, and where the piece begins
    windows[21:23, 1] = 0.5
    clip = Clip(tmp_path / "long.flac", "long.flac", "indoor", "place")
    result = ClipResult(clip, "outdoor", (0.2, 0.6, 0.2), tuple(map(tuple, windows.tolist())))
    html, _ = listening_page(classifier, [result], tmp_path / "listening.html", "m", 1, "embed")
    (tmp_path / "listening.html").write_text(html)
    with opened(browser, (tmp_path / "listening.html").as_uri()) as page:
        audio, plots = page.locator("audio"), page.locator(".plot:first-of-type, .hertz:first-child + .plot")
        page.wait_for_function("(audio) => audio.readyState >= 1", arg=audio.element_handle())
        assert audio.evaluate("(audio) => audio.duration") == pytest.approx(30, abs=0.01)  # the last 30 s of 31
        plot = plots.nth(1)
        assert float(plot.get_attribute("data-start") or "") == 21
        frames, frame = int(plot.get_attribute("data-frames") or ""), 128 / 8000
        box = plot.bounding_box()
        at = 0.7  # s of the window: the sound begins anew at 0.5 s, so this is 0.2 s into it
        plot.click(position={"x": box["width"] * (at / frame + 0.5) / frames, "y": 20})
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(20 + 0.25 + 0.2, abs=0.005)
        lefts = [
            float(left)
            for left in plot.locator(".cursor").evaluate_all("all => all.map(c => parseFloat(c.style.left))")
        ]
        assert lefts == pytest.approx([100 * (t / frame + 0.5) / frames for t in (0.2, 0.7)], abs=0.5)


def test_what_the_piece_does_not_reach_cannot_be_clicked(browser: Any, tmp_path: Path) -> None:
    """A recording of 60 s, of which the player holds the last 30; shown are its beginning and its end."""
    classifier = Classifier(changed(tiny_model(), window=WindowConfig(seconds=1)), threads=1)
    soundfile.write(tmp_path / "long.flac", np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 8000), 8000)
    windows = np.full((60, 3), 0.25)
    windows[[0, 58, 59], 1] = 0.5, 0.6, 0.75
    clip = Clip(tmp_path / "long.flac", "long.flac", "indoor", "place")
    result = ClipResult(clip, "outdoor", (0.2, 0.6, 0.2), tuple(map(tuple, windows.tolist())))
    html, _ = listening_page(classifier, [result], tmp_path / "listening.html", "m", 1, "embed")
    (tmp_path / "listening.html").write_text(html)
    with opened(browser, (tmp_path / "listening.html").as_uri()) as page:
        roles = page.locator(".hertz:first-child + .plot").evaluate_all("all => all.map(p => p.getAttribute('role'))")
        assert roles == ["img", "slider", "slider"]
        assert page.get_by_text("does not reach here").count() == 1


def test_a_sound_that_fails_before_the_script_is_there_is_said(browser: Any, hostile: Any) -> None:
    page = (hostile.folder / "listening.html").read_text()
    away = hostile.folder.parent / "away.html"
    # links that lead nowhere, and so much behind them that the browser finds out while it still reads
    page = page.replace('<audio controls preload="metadata" src="', '<audio controls preload="metadata" src="no/such/')
    away.write_text(page.replace("<footer>", f"<p hidden>{'x' * 6_000_000}</p><footer>"))
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(away.as_uri())
    tab.wait_for_function("[...document.querySelectorAll('.silent')].every((line) => !line.hidden)")
    assert tab.locator(".silent").count() > 0
    context.close()


def test_a_fault_of_a_page_is_noticed(browser: Any, tmp_path: Any) -> None:
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
