"""The model card: everything that belongs in it is there, and no text of a model breaks its Markdown."""

import re
from typing import Any

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet import __version__
from scenelet.export.model_card import model_card
from scenelet.model.costs import macs
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import SIZE_RULES, sizes

HEADINGS = [
    "# my model",
    *(f"## {name}" for name in ("Data", "Results", "Size", "Limits", "License of the data", "How it was made")),
]
FIGURES = {"clips": 1200, "accuracy": 0.7, "macro_accuracy": 0.71234, "log_loss": 0.98765}
PROVENANCE: dict[str, Any] = {
    "scenelet": "1.2.3",
    "recipe": "low_complexity",
    "data": "TAU 2020 Mobile, folder x",
    "train_clips": {"indoor": 1000, "outdoor": 200, "transportation": 34},
    "synthetic": False,
    "seed": 0,
    "network": {"name": "shared_resnet", "stem_stride": [2, 4], "shared": True, "none": None},
    "split": {"fold": "1", "city": None, "seed": 0},
    "teacher": {"distil": 0.5, "recipe": "default", "network": {"name": "shared_resnet", "width": 64}},
    "versions": {"python": "3"},
}
HOSTILE = {
    "a bar": ("a | b |", "a &#124; b &#124;"),
    "a tag": ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
    "lines": ("one\n\n# two\r\n| 1 | 2 |\u2028three", "one # two &#124; 1 &#124; 2 &#124; three"),
    "a comment": ("<!-- hidden", "&lt;&#33;-- hidden"),
    "a terminal's commands": ("\x1b[2J\u202eback", "&#91;2Jback"),
}
"""What a model file may hold, and how a card says it."""


def lines_of(model: SceneModel) -> list[str]:
    return model_card(model, "my model", 4321).splitlines()


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
    pluralize = sizes(model, 4321)
    assert rows == {rule: [f"{pluralize[rule]:,}", what] for rule, (_, what) in SIZE_RULES.items()}
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


@pytest.mark.parametrize(
    "results",
    [
        {},
        {"compressed": {}, "dense": {}},
        {"compressed": None},
        {"compressed": [1], "dense": "much"},
        {"compressed": {"test": 0.9, "validation": [FIGURES]}},
        {"compressed": {"test": FIGURES | {"clips": "many"}}},
        {"compressed": {"test": FIGURES | {"macro_accuracy": None}}},
        {"compressed": {"test": {"clips": 3}}},
    ],
)
def test_a_model_that_was_not_measured_says_so(results: dict[str, Any]) -> None:
    assert part(lines_of(changed(tiny_model(), results=results)), "## Results") == ["Not measured."]


def test_data_are_named_and_counted() -> None:
    (said,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## Data")
    pluralize = "indoor 1000, outdoor 200, transportation 34"
    assert said == f"TAU 2020 Mobile, folder x. It learnt from 1,234 clips ({pluralize})."
    (said,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE | {"synthetic": True})), "## Data")
    assert said.endswith(" The recordings are synthetic.")
    assert part(lines_of(changed(tiny_model(), provenance={})), "## Data") == ["Not known."]


@pytest.mark.parametrize("clips", [[1, 2], "many", 3, {"a": "b"}])
def test_counts_that_are_none_are_left_out(clips: Any) -> None:
    (said,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE | {"train_clips": clips})), "## Data")
    assert said == "TAU 2020 Mobile, folder x."


def test_limits_count_the_labels() -> None:
    assert part(lines_of(tiny_model()), "## Limits")[0].startswith("It answers with one of its 3 labels")


def test_licences_are_listed_and_their_want_is_told() -> None:
    named = part(lines_of(changed(tiny_model(), licenses=["CC0-1.0", "MIT"])), "## License of the data")
    assert named[:-1] == ["- CC0-1.0", "- MIT"]
    unknown = part(lines_of(changed(tiny_model(), licenses=[])), "## License of the data")
    assert unknown[0] == "None is known of the data it learnt from."
    assert named[-1] == unknown[-1]
    assert named[-1].startswith("What holds for the model itself is for its maker to say")


def test_how_it_was_made_is_told_in_words() -> None:
    assert part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## How it was made") == [
        "- Recipe: low_complexity",
        "- Network: name shared_resnet, stem_stride 2 x 4, shared yes",
        "- Taught by: distil 0.5, recipe default, network (name shared_resnet, width 64)",
        "- Split: fold 1, seed 0",
        "- Seed: 0",
        "- Versions: python 3",
    ]


def test_the_file_s_name_is_text_too() -> None:
    first = model_card(tiny_model(), "a\n# b <i>|", 1).splitlines()[0]
    assert first == "# a # b &lt;i>&#124;"


def test_lines_of_a_text_become_one() -> None:
    said = lines_of(changed(tiny_model(), licenses=["one\n two\r\n\nthree"]))
    assert part(said, "## License of the data")[0] == "- one two three"


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


@pytest.mark.parametrize(("text", "escaped"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", ["label", "license", "data", "train_clips", "provenance", "version", "key", "side"])
def test_no_text_of_a_model_breaks_the_card(where: str, text: str, escaped: str) -> None:
    results = {"compressed": {"test": FIGURES}}
    model = changed(tiny_model(), provenance=PROVENANCE, results=results)
    changes: dict[str, dict[str, Any]] = {
        "label": {"labels": (text, "outdoor", "transportation")},
        "license": {"licenses": [text]},
        "data": {"provenance": PROVENANCE | {"data": text}},
        "train_clips": {"provenance": PROVENANCE | {"train_clips": {text: 3}}},
        "provenance": {"provenance": PROVENANCE | {"recipe": text}},
        "version": {"provenance": PROVENANCE | {"scenelet": text}},
        "key": {"provenance": PROVENANCE | {"network": {text: "value"}}},
        "side": {"results": {"compressed": {text: FIGURES}}},
    }
    lines = model_card(changed(model, **changes[where]), "my model", 4321).split("\n")
    assert_sound(lines)
    assert_sound(lines_of(model))
    assert escaped in "\n".join(lines)
    assert escaped not in "\n".join(lines_of(model))
    assert len(lines) == len(model_card(model, "my model", 4321).split("\n"))
