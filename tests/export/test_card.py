"""The model card: everything that belongs in it is there, and no text of a model breaks its Markdown."""

import re
from typing import Any

import pytest

from scenelet import __version__
from scenelet.costs import macs
from scenelet.export.card import card
from scenelet.modelfile import SceneModel
from scenelet.sizes import SIZE_RULES, sizes
from tiny_model import changed, tiny_model

HEADINGS = [
    "# my model",
    *(f"## {name}" for name in ("Data", "Results", "Size", "Limits", "Licence", "How it was made")),
]
FIGURES = {"clips": 1200, "accuracy": 0.7, "macro_accuracy": 0.71234, "log_loss": 0.98765}
PROVENANCE: dict[str, Any] = {
    "scenelet": "1.2.3",
    "recipe": "tiny",
    "data": "TAU 2020 Mobile, folder x",
    "train_clips": {"indoor": 1000, "outdoor": 200, "transportation": 34},
    "made": False,
    "versions": {"python": "3"},
}
HOSTILE = {
    "a bar": "a | b |",
    "a tag": "<script>alert(1)</script>",
    "lines": "one\n\n# two\r\n| 1 | 2 |\u2028three",
    "a comment": "<!-- hidden",
    "a terminal's commands": "\x1b[2J\u202eback",
}


def lines_of(model: SceneModel) -> list[str]:
    return card(model, "my model", 4321).splitlines()


def part(lines: list[str], heading: str) -> list[str]:
    """What stands under a heading, without empty lines."""
    start = lines.index(heading) + 1
    stop = next((i for i in range(start, len(lines)) if lines[i].startswith("#")), len(lines))
    return [line for line in lines[start:stop] if line]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_headings_are_in_order() -> None:
    assert [line for line in lines_of(tiny_model()) if line.startswith("#")] == HEADINGS


def test_it_opens_with_what_the_model_is_and_hears() -> None:
    text = "\n".join(lines_of(changed(tiny_model(), provenance=PROVENANCE)))
    assert "classifier of 4,321 bytes, made with scenelet 1.2.3." in text
    assert "**Labels** (3): indoor, outdoor, transportation." in text
    assert "**Hears** 0.2 s at a time, stereo, 8,000 Hz, as 16 log-mel bands every 16.0 ms." in text
    assert f"made with scenelet {__version__}." in "\n".join(lines_of(tiny_model()))


def test_every_size_rule_has_its_row() -> None:
    model = tiny_model()
    under = part(lines_of(model), "## Size")
    rows = {cells(row)[0]: cells(row)[1:] for row in under if row.startswith("| ") and not row.startswith("| counted")}
    counted = sizes(model, 4321)
    assert rows == {rule: [f"{counted[rule]:,}", what] for rule, (_, what) in SIZE_RULES.items()}
    assert rows["disk"][0] == "4,321"
    costs = f"{macs(model.nodes, model.array_shapes, model.input_shape) / 0.2 / 1e6:,.1f} M multiply-accumulates"
    for piece in (f"{model.counts.parameters:,} parameters", f"{model.counts.parameters_kept:,} kept", costs):
        assert piece in under[0]


def test_results_have_a_row_for_the_file_and_one_for_the_network_before() -> None:
    dense = FIGURES | {"macro_accuracy": 0.8, "log_loss": 0.5}
    results = {"compressed": {"test": FIGURES, "validation": FIGURES | {"clips": 30}}, "dense": {"test": dense}}
    rows = part(lines_of(changed(tiny_model(), results=results)), "## Results")
    assert [cells(row) for row in rows] == [
        ["", "clips", "macro accuracy, %", "log loss"],
        ["---"] * 4,
        ["the file, test", "1,200", "71.23", "0.988"],
        ["the file, validation", "30", "71.23", "0.988"],
        ["before it was compressed, test", "1,200", "80.00", "0.500"],
    ]


@pytest.mark.parametrize("results", [{}, {"compressed": {}, "dense": {}}, {"compressed": None}])
def test_a_model_that_was_not_measured_says_so(results: dict[str, Any]) -> None:
    assert part(lines_of(changed(tiny_model(), results=results)), "## Results") == ["Not measured."]


def test_data_are_named_and_counted() -> None:
    (said,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## Data")
    counted = "indoor 1000, outdoor 200, transportation 34"
    assert said == f"TAU 2020 Mobile, folder x. It learnt from 1,234 clips ({counted})."
    (said,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE | {"made": True})), "## Data")
    assert said.endswith(" The recordings are made, not recorded.")
    assert part(lines_of(changed(tiny_model(), provenance={})), "## Data") == ["Not known."]


def test_limits_count_the_labels() -> None:
    assert part(lines_of(tiny_model()), "## Limits")[0].startswith("It answers with one of its 3 labels")


def test_licences_are_listed_and_their_want_is_told() -> None:
    assert part(lines_of(changed(tiny_model(), licences=["CC0-1.0", "MIT"])), "## Licence") == ["- CC0-1.0", "- MIT"]
    (said,) = part(lines_of(changed(tiny_model(), licences=[])), "## Licence")
    assert said == "None is known of the data it learnt from."


def test_how_it_was_made_lists_what_is_short() -> None:
    made = part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## How it was made")
    assert "- recipe: tiny" in made
    assert not any("python" in line for line in made)


def test_lines_of_a_text_become_one() -> None:
    said = lines_of(changed(tiny_model(), licences=["one\n two\r\n\nthree"]))
    assert part(said, "## Licence") == ["- one two three"]


def assert_sound(lines: list[str]) -> None:
    """Headings as they must be, tables of equal rows, no tag, and nothing that a terminal would obey."""
    assert [line for line in lines if line.startswith("#")] == HEADINGS
    assert not re.search(r"<[a-z/!]", "\n".join(lines), re.IGNORECASE)
    assert all(line.isprintable() for line in lines)
    for heading in ("## Results", "## Size"):
        rows = [line for line in part(lines, heading) if "|" in line]
        assert all(row.startswith("|") and row.endswith("|") for row in rows)
        assert len({row.count("|") for row in rows}) <= 1
    others = [line for heading in HEADINGS if heading not in ("## Results", "## Size") for line in part(lines, heading)]
    assert not any("|" in line for line in others)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", ["label", "licence", "data", "train_clips", "provenance", "version", "key", "side"])
def test_no_text_of_a_model_breaks_the_card(where: str, text: str) -> None:
    results = {"compressed": {"test": FIGURES}}
    model = changed(tiny_model(), provenance=PROVENANCE, results=results)
    changes: dict[str, dict[str, Any]] = {
        "label": {"labels": (text, "outdoor", "transportation")},
        "licence": {"licences": [text]},
        "data": {"provenance": PROVENANCE | {"data": text}},
        "train_clips": {"provenance": PROVENANCE | {"train_clips": {text: 3}}},
        "provenance": {"provenance": PROVENANCE | {"recipe": text}},
        "version": {"provenance": PROVENANCE | {"scenelet": text}},
        "key": {"provenance": PROVENANCE | {text: "value"}},
        "side": {"results": {"compressed": {text: FIGURES}}},
    }
    lines = card(changed(model, **changes[where]), "my model", 4321).split("\n")
    assert_sound(lines)
    assert_sound(lines_of(model))
    first = re.split(r"[|<\n\x1b]", text)[0].strip()
    assert first in "\n".join(lines)
    assert len(lines) == len(card(model, "my model", 4321).split("\n")) + (where == "key")
