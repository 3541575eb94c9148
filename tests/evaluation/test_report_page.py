"""The pages as text: every name escaped, every figure that of report.json, links that lead to the recordings."""

import json
import os
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.example_report import made_report, made_results
from helpers.tiny_model import tiny_model
from scenelet.errors import escape_unprintable
from scenelet.evaluation.listening_page import select_clips, strongest_windows
from scenelet.evaluation.report_page import Shown, figure_files, report_page
from scenelet.model.file import write_model
from scenelet.model.summary import describe

LABELS = ("indoor", "outdoor", "transportation")


class Reader(HTMLParser):
    """Tags, attributes that load or link, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["style"], ["script"]):
            self.text += data


@pytest.fixture(params=["report.html", "listening.html"])
def page(request: pytest.FixtureRequest, hostile: object) -> Reader:
    return Reader((hostile.folder / request.param).read_text(encoding="utf-8"))


def test_no_name_becomes_markup(page: Reader, hostile: object) -> None:
    assert page.tags.count("script") <= 1
    assert "img" not in page.tags
    assert page.handlers == []
    shown = [result for i, result in enumerate(hostile.results) if i in hostile.anchors]
    names = {escape_unprintable(result.clip.name) for result in shown} | {result.clip.label for result in shown}
    assert {result.clip.label for result in shown} == set(hostile.report["labels"])
    assert {name for name in names if name not in page.text} == set()


def test_nothing_is_asked_of_the_network(page: Reader) -> None:
    for link in page.links:
        assert urllib.parse.urlsplit(link).scheme in ("", "data")
        assert not link.startswith("//")


def test_every_link_leads_to_a_file(page: Reader, hostile: object) -> None:
    assert page.links
    listening = Reader((hostile.folder / "listening.html").read_text())
    for link in page.links:
        if link.startswith("data:"):
            continue
        path, _, anchor = link.partition("#")
        place = os.path.join(os.fsencode(hostile.folder), urllib.parse.unquote_to_bytes(path))
        assert os.path.isfile(place) or path == "report.html", link
        assert not anchor or anchor in listening.ids


def test_worst_groups_link_to_their_clips(hostile: object) -> None:
    text = (hostile.folder / "report.html").read_text()
    worst = {row["group"] for row in hostile.report["worst_groups"]}
    expected = {
        hostile.anchors[i] for i, r in enumerate(hostile.results) if i in hostile.anchors and r.clip.group in worst
    }
    assert expected
    assert set(re.findall(r'href="listening.html#([^"]+)"', text)) == expected


def test_figures_of_the_page_are_those_of_the_data(tmp_path: Path) -> None:
    results = made_results(LABELS)
    report = made_report(results, LABELS)
    write_model(tiny_model(), tmp_path / "m.scn")
    model = describe(tmp_path / "m.scn")
    figures = figure_files(report, [])
    assert set(figures) == {"confusion.svg", "classes.svg", "reliability.svg"}
    text = re.sub(r"\s+", " ", Reader(report_page(report, figures, Shown(model, results))).text)
    for name in ("accuracy", "macro_accuracy"):
        own = report["intervals"][name]
        assert (
            f"{100 * own['value']:.1f}% 95 %: {100 * own['low']:.1f} to {100 * own['high']:.1f}".replace("% ", "%", 1)
            in text
        )
    loss = report["intervals"]["log_loss"]
    assert f"{loss['value']:.3f}95 %: {loss['low']:.3f} to {loss['high']:.3f}" in text
    assert f"{report['reliability']['ece']:.3f}" in text
    for label, own in report["per_class"].items():
        shown = own["interval"]
        low_high = f"{100 * shown['low']:.1f}\u2013{100 * shown['high']:.1f}"
        assert f"{label}" in text
        assert f"{100 * own['accuracy']:.1f} % {low_high}" in text
    for count in model["bytes"].values():
        assert f"{count:,}" in text
    for city, own in report["per_city"].items():
        assert city in text
        assert f"{100 * own['macro_accuracy']:.1f} %" in text
    assert f"{report['worst_groups'][0]['right']} of {report['worst_groups'][0]['clips']}" in text
    assert "listening.html" not in report_page(report, figures, Shown(model, results))


def test_figures_are_svg_and_stand_in_the_page(hostile: object) -> None:
    page = (hostile.folder / "report.html").read_text()
    for name in ("confusion", "classes", "reliability", "curves"):
        text = (hostile.folder / f"{name}.svg").read_text()
        assert text in page
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(href|url\(|@import)", text)


def test_numbers_in_the_drawings() -> None:
    results = made_results(LABELS, seed=3)
    report = made_report(results, LABELS)
    figures = figure_files(report, [])
    names = {"s": "http://www.w3.org/2000/svg"}
    root = ElementTree.fromstring(figures["confusion.svg"])
    right = [rect for rect in root.findall(".//s:rect[@class='mark']", names) if rect.get("x") == rect.get("y")]
    assert len(right) == len(root.findall(".//s:rect[@class='mark']", names))
    assert len(right) == sum(report["confusion"][k][k] > 0 for k in range(3))
    cells = [text.text for text in root.findall(".//s:g/s:text", names)]
    assert cells == [f"{count}" for row in report["confusion"] for count in row if count]
    root = ElementTree.fromstring(figures["reliability.svg"])
    counts = [text.text for text in root.findall(".//s:g/s:text", names)]
    assert counts == [f"{row['clips']}" for row in report["reliability"]["bins"] if row["clips"]]
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in root.findall(".//s:circle", names)]
    left, bottom, side = 46, 28 + 296, 296
    places = [
        (left + side * row["confidence"], bottom - side * row["accuracy"])
        for row in report["reliability"]["bins"]
        if row["clips"]
    ]
    assert [value for dot in dots for value in dot] == pytest.approx([v for place in places for v in place], abs=0.06)


def test_the_listed_clips(hostile: object) -> None:
    results = made_results(LABELS, seed=1)
    mistakes, unsure = select_clips(results, 5)
    assert len(mistakes) == len(unsure) == 5
    assert not set(mistakes) & set(unsure)
    shares = [max(results[i].probabilities) for i in mistakes]
    assert shares == sorted(shares, reverse=True)
    assert all(results[i].label != results[i].clip.label for i in mistakes)
    left = [max(r.probabilities) for i, r in enumerate(results) if not r.right and i not in mistakes]
    assert max(left, default=0) <= min(shares)
    margins = [sorted(results[i].probabilities)[-1] - sorted(results[i].probabilities)[-2] for i in unsure]
    assert margins == sorted(margins)
    first = hostile.results[0]
    shown = strongest_windows(first, [*dict.fromkeys(r for r in hostile.report["labels"])])
    answer = hostile.report["labels"].index(first.label)
    assert shown == sorted(shown)
    assert len(shown) == 3 < len(first.windows)
    assert min(first.windows[i][answer] for i in shown) >= max(
        row[answer] for i, row in enumerate(first.windows) if i not in shown
    )


def test_predictions_with_their_windows(hostile: object) -> None:
    data = json.loads((hostile.folder / "predictions.json").read_text())
    assert data["labels"] == hostile.report["labels"]
    for row, result in zip(data["clips"], hostile.results, strict=True):
        assert row["filename"] == result.clip.name
        assert row["probabilities"] == list(result.probabilities)
        assert row["windows"] == [list(window) for window in result.windows]
