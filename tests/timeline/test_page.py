"""The page of a timeline in a browser: picture, list, spectrograms and players."""

import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from helpers.band_model import band_model
from helpers.browser import is_drawn, opened, scrolls_sideways
from scenelet.data.load import load_table
from scenelet.inference.events import Event
from scenelet.timeline import page as page_module
from scenelet.timeline.page import PAGE, PICTURES, spread_over_labels, timeline_page, zones
from scenelet.timeline.results import RecordingEvents
from scenelet.timeline.run import make_timeline

NAMES = ("</script><script>fail()</script>.wav", "a \"b\" 'c' 100% #1 ?x&amp;.wav", os.fsdecode(b"\xff\n.wav"))


@pytest.fixture
def made(model: str, recordings: list[Path], tmp_path: Path) -> Path:
    """A timeline of three recordings; the page is in a folder of its own."""
    make_timeline(model, recordings, tmp_path / "out", hop_seconds=0.1, smooth_seconds=0.1)
    return tmp_path / "out" / PAGE


def event(start: float, label: str = "low", probability: float = 0.9) -> Event:
    return Event(start, start + 1, label, probability)


def recording(*events: Event, path: Path = Path("a.wav"), start: datetime | None = None) -> RecordingEvents:
    return RecordingEvents(
        path=path, bytes=1, modified_ns=1, seconds=60_000, sample_rate=8000, start=start, events=events
    )


def data_of(html: str) -> Any:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[0])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colors", ["light", "dark"])
def test_page_fits_and_shows_an_event(browser: Any, made: Path, width: int, colors: str) -> None:
    with opened(browser, made.as_uri(), width=width, color_scheme=colors) as page:
        assert not scrolls_sideways(page)
        assert page.locator(".chart .title").all_inner_texts() == ["2024-05-01", "garden.flac"]
        assert page.locator("#listed h2").inner_text() == "7 events"
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        page.locator("#listed li button").nth(1).click()
        page.locator("#event canvas").wait_for()
        assert is_drawn(page, "#event canvas")
        assert not scrolls_sideways(page)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(20, 24, 27)") == (colors == "dark")


def test_spectrograms_are_loaded_when_an_event_is_chosen(browser: Any, made: Path) -> None:
    with opened(browser, made.as_uri()) as page:
        assert page.locator(f"script[src='{PICTURES}']").count() == 0
        page.locator("#listed li button").first.click()
        page.locator("#event canvas").wait_for()
        page.locator("#listed li button").nth(2).click()
        assert page.locator(f"script[src='{PICTURES}']").count() == 1


def test_player_is_at_the_event_and_the_spectrogram_moves_it(browser: Any, made: Path) -> None:
    with opened(browser, made.as_uri()) as page:
        page.locator("#listed li button").nth(1).click()  # mid, from 1 to 3 s
        audio = page.locator("#event audio")
        page.wait_for_function("() => document.querySelector('#event audio').readyState >= 1")
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(1, abs=0.1)
        plot = page.locator("#event .plot")
        plot.wait_for()
        box = plot.bounding_box()
        plot.click(position={"x": box["width"] / 2, "y": 20})  # of 0 to 4 s
        assert audio.evaluate("(audio) => audio.currentTime") == pytest.approx(2, abs=0.1)
        page.wait_for_function("() => parseFloat(document.querySelector('#event .cursor').style.left) > 45")


def test_answers_become_labels_with_times(browser: Any, made: Path, recordings: list[Path], tmp_path: Path) -> None:
    """A right event, a wrong one, and one with another label; an event without an answer is not in the table."""
    with opened(browser, made.as_uri()) as page:
        shown = []
        for number, choose in enumerate(("right", "wrong", "other")):
            page.locator("#listed li button").nth(number).click() if number == 0 else page.locator(
                "#event .next"
            ).click()
            page.wait_for_function(f"() => document.querySelector('#event').dataset.number === '{number}'")
            shown.append(page.locator("#event .name").inner_text())
            question = page.locator("#event .question")
            if choose == "other":
                question.locator("select").select_option("high" if shown[-1] != "high" else "low")
            else:
                question.get_by_role("button", name=choose.capitalize()).click()
        assert page.locator("#answers .count").inner_text().startswith("3 answered.")
        with page.expect_download() as download:
            page.locator("#answers button").click()
        download.value.save_as(tmp_path / "answers.csv")
        assert not scrolls_sideways(page)
    events = data_of(made.read_text())["events"]
    table = load_table(tmp_path / "answers.csv", recordings[0].parent, min_classes=1)
    assert [(clip.start, clip.end) for clip in table.clips] == [(events[i]["start"], events[i]["end"]) for i in (0, 2)]
    assert table.clips[0].label == shown[0]
    assert table.clips[1].label in {"high", "low"} - {shown[2]}


def test_click_in_the_picture_opens_the_nearest_event(browser: Any, made: Path) -> None:
    with opened(browser, made.as_uri()) as page:
        lanes = page.locator(".lanes").nth(1)  # of garden.flac: high 0-2, low 2-3, mid 3-4 s
        box = lanes.bounding_box()
        lanes.click(position={"x": 0.625 * box["width"], "y": 5})
        assert page.locator("#event .name").inner_text() == "low"
        assert page.locator(".bar.on").count() == 1
        assert page.locator(".lanes:nth-of-type(2) + #event").count() == 1
        page.locator("#event .next").click()
        assert page.locator("#event .name").inner_text() == "mid"
        page.locator("#event .next").click()  # there are no more
        assert page.locator("#event .name").inner_text() == "mid"


def test_label_button_filters_list_and_picture(browser: Any, made: Path) -> None:
    with opened(browser, made.as_uri()) as page:
        button = page.locator("#labels button").nth(1)
        assert re.sub(r"\s+", " ", button.inner_text()) == "B mid 2"
        button.click()
        assert page.locator("#listed h2").inner_text().startswith("2 events of mid, ")
        assert page.locator("#listed li").count() == 2
        assert page.locator(".bar:not(.off)").count() == 2
        assert button.get_attribute("aria-pressed") == "true"
        button.click()
        assert page.locator("#listed li").count() == 7
        assert page.locator(".bar.off").count() == 0


def test_keyboard_opens_walks_and_closes(browser: Any, made: Path) -> None:
    with opened(browser, made.as_uri()) as page:
        first = page.locator("#listed li button").first
        first.focus()
        page.keyboard.press("Enter")
        assert first.get_attribute("aria-expanded") == "true"
        assert page.evaluate("document.activeElement.id") == "event"
        page.locator("#event .next").focus()
        page.keyboard.press("Enter")
        assert page.locator("li[data-event='1'] #event").count() == 1
        page.keyboard.press("Escape")
        assert page.locator("#event").is_hidden()
        assert page.evaluate("document.activeElement.parentElement.dataset.event") == "1"


def test_lost_recordings_and_spectrograms_are_named(browser: Any, made: Path, recordings: list[Path]) -> None:
    recordings[0].unlink()
    (made.parent / PICTURES).unlink()
    context = browser.new_context()
    page = context.new_page()
    page.goto(made.as_uri())
    page.locator("#listed li button").first.click()
    page.locator("#event .silent").wait_for()
    page.locator("#event .no-picture").wait_for()
    assert page.locator("#event .seen").is_hidden()
    context.close()


def test_malicious_names_are_text(browser: Any, model: str, tmp_path: Path, write_tones: Callable[..., Path]) -> None:
    paths = [write_tones(tmp_path / "sd" / name, "low", "high") for name in NAMES]
    make_timeline(model, paths, tmp_path / "out", hop_seconds=0.1, smooth_seconds=0.1)
    with opened(browser, (tmp_path / "out" / PAGE).as_uri()) as page:
        for number in (0, 2, 4):
            page.locator(f"li[data-event='{number}'] > button").click()
            page.wait_for_function("() => document.querySelector('#event audio').readyState >= 1")
        assert page.locator("#event .silent").is_hidden()
        assert page.evaluate("typeof fail") == "undefined"


def test_list_grows_on_demand(browser: Any, tmp_path: Path) -> None:
    html, others = timeline_page(band_model(), "m", [recording(*map(event, range(0, 500, 2)))], tmp_path / PAGE)
    for name, text in {PAGE: html, **others}.items():
        (tmp_path / name).write_text(text)
    with opened(browser, (tmp_path / PAGE).as_uri()) as page:
        assert page.locator("#listed li").count() == 100
        page.get_by_role("button", name="Show 100 more").click()
        page.get_by_role("button", name="Show 50 more").click()
        assert page.locator("#listed li").count() == 250
        assert page.get_by_role("button", name=re.compile("more")).count() == 0


def test_page_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "MAX_EVENTS", 3)
    events = [event(3 * k, "low" if k < 9 else "high", k / 10) for k in range(10)]
    html, _ = timeline_page(band_model(), "m", [recording(*events)], tmp_path / PAGE)
    assert "This page shows 3 of them" in html
    shown = [(one["label"], one["probability"]) for one in data_of(html)["events"]]
    assert shown == [(0, 0.7), (0, 0.8), (1, 0.9)]
    assert [label["events"] for label in data_of(html)["labels"]] == [9, 1]


def test_page_without_events(browser: Any, tmp_path: Path) -> None:
    html, others = timeline_page(band_model(), "m", [recording()], tmp_path / PAGE)
    for name, text in {PAGE: html, **others}.items():
        (tmp_path / name).write_text(text)
    with opened(browser, (tmp_path / PAGE).as_uri(), width=390) as page:
        assert page.get_by_text("No events were found.").count() == 1
        assert page.locator("#listed").is_hidden()
        assert not scrolls_sideways(page)


def test_spread_over_labels_takes_the_most_probable_of_each() -> None:
    events = [(0, event(k, label, p)) for k, (label, p) in enumerate((("a", 0.9), ("a", 0.8), ("a", 0.7), ("b", 0.1)))]
    assert [sorted(spread_over_labels(events, count)) for count in range(5)] == [
        [],
        [0],
        [0, 3],
        [0, 1, 3],
        [0, 1, 2, 3],
    ]


def test_zones_are_stated_and_not_guessed() -> None:
    unknown, utc = datetime(2024, 5, 1), datetime.fromisoformat("2024-05-01T05:30:00+02:00")
    assert zones([recording()]) == ""
    assert zones([recording(start=unknown)]) == "Times are those of the recorder's clock, whose zone is not known."
    assert zones([recording(start=utc)]) == "Times are in UTC+02:00."
    assert zones([recording(start=utc), recording(start=unknown)]).endswith("or in a zone that is not known.")
