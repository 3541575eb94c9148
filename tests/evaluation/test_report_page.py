"""The pages as text: every name is escaped, every number is that of report.json, links lead to the recordings."""

import os
import re
import urllib.parse
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.example_report import make_predictions, make_report
from helpers.tiny_model import tiny_model
from scenelet.errors import escape_unprintable
from scenelet.evaluation.report_page import figure_files, report_page
from scenelet.model.file import write_model
from scenelet.model.summary import describe

LABELS = ("indoor", "outdoor", "transportation")


class Reader(HTMLParser):
    """Tags, links, ids and event handlers of a page, and its text outside of scripts and styles."""

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
def page(request: pytest.FixtureRequest, malicious: object) -> Reader:
    return Reader((malicious.folder / request.param).read_text(encoding="utf-8"))


def test_pages_escape_every_name(page: Reader, malicious: object) -> None:
    assert page.tags.count("script") in (0, 2)  # the listening page: its table and its code
    assert "img" not in page.tags
    assert page.handlers == []
    shown = [clip for i, clip in enumerate(malicious.predictions) if i in malicious.anchors]
    names = {escape_unprintable(clip.name) for clip in shown} | {clip.label for clip in shown}
    assert {clip.label for clip in shown} == set(malicious.report["labels"])
    assert {name for name in names if name not in page.text} == set()


def test_pages_load_nothing_from_the_network(page: Reader) -> None:
    for link in page.links:
        assert urllib.parse.urlsplit(link).scheme in ("", "data")
        assert not link.startswith("//")


def test_pages_link_to_existing_files(page: Reader, malicious: object) -> None:
    assert page.links
    listening = Reader((malicious.folder / "listening.html").read_text())
    for link in page.links:
        if link.startswith("data:"):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.join(os.fsencode(malicious.folder), urllib.parse.unquote_to_bytes(path))
        assert os.path.isfile(target) or path == "report.html", link
        assert not anchor or anchor in listening.ids


def test_report_page_links_worst_groups_to_their_clips(malicious: object) -> None:
    text = (malicious.folder / "report.html").read_text()
    worst = {row["group"] for row in malicious.report["worst_groups"]}
    clips = malicious.predictions
    expected = {malicious.anchors[i] for i, clip in enumerate(clips) if i in malicious.anchors and clip.group in worst}
    assert expected
    assert set(re.findall(r'href="listening.html#([^"]+)"', text)) == expected


def test_report_page_shows_the_numbers_of_the_report(tmp_path: Path) -> None:
    predictions = make_predictions(LABELS)
    report = make_report(predictions, LABELS)
    write_model(tiny_model(), tmp_path / "m.scn")
    model = describe(tmp_path / "m.scn")
    figures = figure_files(report, [])
    html = report_page(report, figures, model, predictions)
    text = re.sub(r"\s+", " ", Reader(html).text)
    for name in ("accuracy", "macro_accuracy"):
        own = report["intervals"][name]
        headline = f"{100 * own['value']:.1f}%95 %: {100 * own['low']:.1f} to {100 * own['high']:.1f}"
        assert headline in text.replace("% 95", "%95")
    loss = report["intervals"]["log_loss"]
    assert f"{loss['value']:.3f}95 %: {loss['low']:.3f} to {loss['high']:.3f}" in text
    assert f"{report['reliability']['ece']:.3f}" in text
    assert "a temperature of 1.25, which was found on 80 clips of its test split" in text
    assert "without the temperature0.1250.750" in text
    for label, own in report["per_class"].items():
        interval = own["interval"]
        low_high = f"{100 * interval['low']:.1f}\u2013{100 * interval['high']:.1f}"
        assert f"{label}" in text
        assert f"{100 * own['accuracy']:.1f} % {low_high}" in text
    for count in model["bytes"].values():
        assert f"{count:,}" in text
    for name, own in {**report["per_city"], **report["per_device"]}.items():
        assert name in text
        assert f"{100 * own['macro_accuracy']:.1f} %" in text
    assert "s4 (unseen)" in text
    gap = report["device_gap"]["macro_accuracy"]
    assert f"Seen minus unseen devices: macro accuracy {100 * gap['value']:+.1f}" in text
    assert f"{report['worst_groups'][0]['right']} of {report['worst_groups'][0]['clips']}" in text
    assert "listening.html" not in html


def test_report_page_holds_its_figures(malicious: object) -> None:
    page = (malicious.folder / "report.html").read_text()
    for name in ("confusion", "classes", "cities", "devices", "reliability", "detection", "curves"):
        text = (malicious.folder / f"{name}.svg").read_text()
        assert text in page
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(href|url\(|@import)", text)


def test_figure_files_leave_out_what_is_not_known() -> None:
    """No curves without a history, and no figure of cities or devices with a single one."""
    predictions = [replace(clip, city=None, device="a") for clip in make_predictions(LABELS)]
    report = make_report(predictions, LABELS)
    assert set(figure_files(report, [])) == {
        f"{name}.svg" for name in ("confusion", "classes", "reliability", "detection")
    }
