"""Answers on the listening page in a browser: what is saved, what is kept, and what `train` reads."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.browser import opened, scrolls_sideways
from helpers.tiny_model import changed, tiny_model
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.evaluation.clip_prediction import ClipPrediction
from scenelet.evaluation.listening_page import listening_page
from scenelet.inference.classifier import Classifier
from scenelet.utils.csv_cells import safe_row

LABELS = ("-rain", "Käuzchen, alt", 'the "sea"')
NAMES = ("=1+1.wav", "~home.wav", "'=2.wav", 'Käuz "x", y "x".wav', "sub/plain.wav", "unseen.wav")
BLOCKED = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked'); } })"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about five of six clips. The model answers the second label; the first three clips have the first."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "sub").mkdir()
    classifier = Classifier(changed(tiny_model(), labels=LABELS), threads=1)
    clips = []
    for i, name in enumerate(NAMES):
        soundfile.write(root / name, 0.1 * np.random.default_rng(i).standard_normal((2400, 2)), 8000)
        clips.append(Clip(root / name, name, LABELS[i // 3], "=garden" if i < 2 else name, fold=str(i % 2)))
    given = (0.1, 0.7, 0.2)
    predictions = [ClipPrediction.from_clip(clip, LABELS, given, [given]) for clip in clips[:-1]]
    page = root / "out" / "listening.html"
    page.parent.mkdir()
    table = ClipTable(root, "folders", tuple(clips))
    html, _ = listening_page([classifier] * len(predictions), predictions, table, page, "m", len(NAMES), "link")
    page.write_text(html)
    return page


def question(page: Any, name: str) -> Any:
    return page.locator(".clip", has_text=name).locator("fieldset")


def choose_new(page: Any, name: str, label: str) -> None:
    question(page, name).get_by_label("Other label").select_option("new label…")
    question(page, name).get_by_label("New label").fill(label)
    page.keyboard.press("Enter")


def save(page: Any, page_file: Path) -> ClipTable:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save answers.csv").click()
    assert download.value.suggested_filename == "answers.csv"
    target = page_file.parent / "answers.csv"
    download.value.save_as(target)
    return load_table(target, page_file.parent.parent)


def test_train_reads_the_labels_that_follow_from_the_answers(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file.as_uri()) as page:
        assert page.locator("#answers").is_hidden()
        question(page, NAMES[0]).get_by_role("button", name="Right").click()
        question(page, NAMES[1]).get_by_role("button", name="Wrong").click()
        question(page, NAMES[2]).get_by_label("Other label").select_option(LABELS[2])
        question(page, NAMES[3]).get_by_role("button", name="Wrong").click()
        choose_new(page, NAMES[4], " =Uhu ")
        outcomes = [question(page, name).get_by_role("status").inner_text() for name in NAMES[:5]]
        assert outcomes[:3] == [
            f"The label is now “{LABELS[1]}”.",
            f"The label stays “{LABELS[0]}”.",
            f"The label is now “{LABELS[2]}”.",
        ]
        assert outcomes[3].startswith("The clip is left out of answers.csv, since its label is not known.")
        assert outcomes[4] == "The label is now “=Uhu”."
        assert page.locator(".count").inner_text().startswith("5 answered. Kept in this browser, not yet in")
        table = save(page, page_file)
        assert page.locator(".count").inner_text() == "5 answered. answers.csv has all of them."
        assert page.locator(".next").inner_text().startswith("Train with it: scenelet train answers.csv --audio-dir ")
    labels = {clip.name: clip.label for clip in table.clips}
    expected = [LABELS[1], LABELS[0], LABELS[2], "=Uhu", LABELS[1]]
    assert labels == dict(zip([*NAMES[:3], *NAMES[4:]], expected, strict=True))
    facts = {clip.name: (clip.group, clip.fold) for clip in table.clips}
    assert facts["~home.wav"] == ("=garden", "1")
    assert facts["'=2.wav"] == ("'=2.wav", "0")


def test_answers_survive_a_reload_and_can_be_undone(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file.as_uri()) as page:
        question(page, NAMES[0]).get_by_role("button", name="Right").click()
        choose_new(page, NAMES[1], "owl")
        page.reload()
        assert question(page, NAMES[0]).locator("[aria-pressed=true]").inner_text().strip() == "Right"
        assert question(page, NAMES[1]).get_by_label("Other label").input_value() == "owl"
        question(page, NAMES[2]).get_by_label("Other label").select_option("owl")  # offered to the other clips too
        assert page.locator(".count").inner_text().startswith("3 answered.")
        for name in NAMES[:3]:
            question(page, name).get_by_role("button", name="Undo").click()
        assert page.locator("#answers").is_hidden()
        page.reload()
        assert page.locator("[aria-pressed=true]").count() == 0
        assert page.locator("#answers").is_hidden()


def test_new_labels_that_are_known_ones_are_those(browser: Any, page_file: Path) -> None:
    """Else `train` would refuse labels that look alike."""
    with opened(browser, page_file.as_uri()) as page:
        choose_new(page, NAMES[0], 'THE "SEA" ')
        assert question(page, NAMES[0]).get_by_label("Other label").input_value() == LABELS[2]
        choose_new(page, NAMES[1], "ka\u0308uzchen, Alt")  # the model's answer, with a combining mark
        assert question(page, NAMES[1]).locator("[aria-pressed=true]").inner_text().strip() == "Right"
        choose_new(page, NAMES[2], "  ")
        assert page.locator(".count").inner_text().startswith("2 answered.")


def test_keyboard_answers_and_undoes(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file.as_uri()) as page:
        first = question(page, NAMES[0])
        first.get_by_role("button", name="Right").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert first.locator("[aria-pressed=true]").inner_text().strip() == "Wrong"
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        assert first.locator("[aria-pressed=true]").inner_text().strip() == "Right"
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert first.locator("[aria-pressed=true]").count() == 0
        assert page.evaluate("document.activeElement.textContent") == "Right"
        assert first.evaluate("(fieldset) => fieldset.firstElementChild.tagName") == "LEGEND"


def test_blocked_storage_is_said_and_the_table_is_still_saved(browser: Any, page_file: Path) -> None:
    blocked = page_file.with_name("blocked.html")
    blocked.write_text(page_file.read_text().replace("<head>", f"<head><script>{BLOCKED}</script>"))
    with opened(browser, blocked.as_uri()) as page:
        question(page, NAMES[0]).get_by_role("button", name="Right").click()
        assert "Not kept by this browser" in page.locator(".count").inner_text()
        saved = save(page, page_file)
        assert {clip.name: clip.label for clip in saved.clips}[NAMES[0]] == LABELS[1]


@pytest.mark.parametrize(("width", "colors"), [(390, "dark"), (390, "light"), (1280, "dark"), (1280, "light")])
def test_answered_page_fits_its_view(browser: Any, page_file: Path, width: int, colors: str) -> None:
    with opened(browser, page_file.as_uri(), width=width, color_scheme=colors) as page:
        choose_new(page, NAMES[0], "x" * 150)
        question(page, NAMES[3]).get_by_role("button", name="Wrong").click()
        assert not scrolls_sideways(page)
        save(page, page_file)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert not scrolls_sideways(page)


def test_lines_of_the_page_are_those_of_python(browser: Any, page_file: Path) -> None:
    """Cells of characters that CSV files and spreadsheets treat in a special way."""
    rng = np.random.default_rng(0)
    letters = list("=+-@'\",;\n\r\t1.einfa~\uff1d\uff20 ö")
    texts = ["".join(rng.choice(letters, size=rng.integers(1, 7))) for _ in range(3000)]
    with opened(browser, page_file.as_uri()) as page:
        lines = page.evaluate("(texts) => texts.map((text) => csvLine([text, text]))", texts)
    read = [next(csv.reader(io.StringIO(line, newline=""))) for line in lines]
    assert [cell for _, cell in read] == [cell for (cell,) in map(safe_row, zip(texts, strict=True))]
    for (name, _), text in zip(read, texts, strict=True):
        assert name in (text, f"./{text}")
        assert safe_row([name]) == [name]
        assert name[0] not in "~'"


def test_values_of_the_page_are_json_without_markup(page_file: Path) -> None:
    text = page_file.read_text().partition('id="table">')[2].partition("</script>")[0]
    values = json.loads(text)
    assert [row[0] for row in values["rows"]] == list(NAMES)
    assert values["labels"] == list(LABELS)
