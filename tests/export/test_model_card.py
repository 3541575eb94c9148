"""The model card: it is complete, and no text of a model breaks its Markdown."""

import re
from typing import Any

import pytest

from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet import __version__
from scenelet.export.model_card import model_card
from scenelet.model.costs import macs
from scenelet.model.rules import RULES
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes

HEADINGS = [
    "# my model",
    *(f"## {name}" for name in ("Data", "Results", "Size", "Limits", "License of the data", "Provenance")),
]
METRICS = {"clips": 1200, "accuracy": 0.7, "macro_accuracy": 0.71234, "log_loss": 0.98765}
PROVENANCE: dict[str, Any] = {
    "scenelet": "1.2.3",
    "recipe": "low_complexity",
    "data": "TAU 2020 Mobile, folder x",
    "train_clips": {"indoor": 1000, "outdoor": 200, "transportation": 34},
    "synthetic": False,
    "seed": 0,
    "network": {"name": "shared_resnet", "stem_stride": [2, 4], "shared": True, "none": None},
    "split": {"fold": "1", "city": None, "seed": 0},
    "teacher": {
        "label_fraction": 0.5,
        "teachers": [{"recipe": "default", "network": {"name": "shared_resnet", "width": 64}}, {"sha256": "5e"}],
    },
    "versions": {"python": "3"},
}
HOSTILE = {
    "a bar": ("a | b |", "a &#124; b &#124;"),
    "a tag": ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
    "lines": ("one\n\n# two\r\n| 1 | 2 |\u2028three", "one &#35; two &#124; 1 &#124; 2 &#124; three"),
    "a code block": ("~~~", "&#126;&#126;&#126;"),
    "a heading": ("# CC0", "&#35; CC0"),
    "a list": ("- item", "&#45; item"),
    "a numbered list": ("1. item", "1&#46; item"),
    "a line under a heading": ("===", "&#61;=="),
    "a comment": ("<!-- hidden", "&lt;&#33;-- hidden"),
    "a terminal's commands": ("\x1b[2J\u202eback", "&#91;2Jback"),
}
"""Texts that a model file may hold, and their form on a card."""


def lines_of(model: SceneModel) -> list[str]:
    return model_card(model, "my model", 4321).splitlines()


def part(lines: list[str], heading: str) -> list[str]:
    """Return the lines under a heading, without empty lines."""
    start = lines.index(heading) + 1
    stop = next((i for i in range(start, len(lines)) if lines[i].startswith("#")), len(lines))
    return [line for line in lines[start:stop] if line]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_model_card_has_all_headings_in_order() -> None:
    assert [line for line in lines_of(tiny_model()) if line.startswith("#")] == HEADINGS


def test_model_card_opens_with_labels_and_input() -> None:
    text = "\n".join(lines_of(changed(tiny_model(), provenance=PROVENANCE)))
    assert "classifier of 4,321 bytes, made with scenelet 1.2.3." in text
    assert "**Labels** (3): indoor, outdoor, transportation." in text
    assert "**Input**: windows of 0.2 s, stereo, 8,000 Hz, as 16 log-mel bands every 16.0 ms." in text
    assert f"made with scenelet {__version__}." in "\n".join(lines_of(tiny_model()))


def test_model_card_has_a_row_for_every_size_rule() -> None:
    model = tiny_model()
    under = part(lines_of(model), "## Size")
    rows = {cells(row)[0]: cells(row)[1:] for row in under if row.startswith("| ") and not row.startswith("| rule")}
    rule_bytes = sizes(model, 4321)
    assert rows == {name: [f"{rule_bytes[name]:,}", rule.text] for name, rule in RULES.items()}
    assert rows["disk"][0] == "4,321"
    costs = f"{macs(model.nodes, model.array_shapes, model.input_shape) / 0.2 / 1e6:,.1f} M multiply-accumulates"
    for piece in (f"{model.counts.parameters:,} parameters", f"{model.counts.parameters_kept:,} kept", costs):
        assert piece in under[0]


def test_model_card_shows_results_before_and_after() -> None:
    dense = METRICS | {"macro_accuracy": 0.8, "log_loss": 0.5}
    results = {"compressed": {"test": METRICS, "validation": METRICS | {"clips": 30}}, "dense": {"test": dense}}
    rows = part(lines_of(changed(tiny_model(), results=results)), "## Results")
    assert [cells(row) for row in rows] == [
        ["", "clips", "macro accuracy, %", "log loss"],
        ["---"] * 4,
        ["the file, test", "1,200", "71.23", "0.988"],
        ["the file, validation", "30", "71.23", "0.988"],
        ["before compression, test", "1,200", "80.00", "0.500"],
    ]


@pytest.mark.parametrize(
    "results",
    [
        {},
        {"compressed": {}, "dense": {}},
        {"compressed": None},
        {"compressed": [1], "dense": "much"},
        {"compressed": {"test": 0.9, "validation": [METRICS]}},
        {"compressed": {"test": METRICS | {"clips": "many"}}},
        {"compressed": {"test": METRICS | {"macro_accuracy": None}}},
        {"compressed": {"test": {"clips": 3}}},
    ],
)
def test_model_card_without_valid_results_says_so(results: dict[str, Any]) -> None:
    assert part(lines_of(changed(tiny_model(), results=results)), "## Results") == ["Not measured."]


def test_model_card_names_and_counts_the_data() -> None:
    (line,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## Data")
    per_label = "indoor 1000, outdoor 200, transportation 34"
    assert line == f"TAU 2020 Mobile, folder x. The model was trained on 1,234 clips ({per_label})."
    (line,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE | {"synthetic": True})), "## Data")
    assert line.endswith(" The recordings are synthetic.")
    assert part(lines_of(changed(tiny_model(), provenance={})), "## Data") == ["Unknown."]


@pytest.mark.parametrize("clips", [[1, 2], "many", 3, {"a": "b"}])
def test_model_card_omits_invalid_clip_counts(clips: Any) -> None:
    (line,) = part(lines_of(changed(tiny_model(), provenance=PROVENANCE | {"train_clips": clips})), "## Data")
    assert line == "TAU 2020 Mobile, folder x."


def test_model_card_limits_count_the_labels() -> None:
    assert part(lines_of(tiny_model()), "## Limits")[0].startswith("The model assigns one of its 3 labels")


def test_model_card_names_the_background() -> None:
    assert not any("Background" in line for line in lines_of(tiny_model()))
    lines = lines_of(changed(tiny_model(), background="outdoor"))
    assert lines[6] == "**Background**: outdoor means that no other class was recognized."
    assert any("background included" in line for line in part(lines, "## Limits"))


def test_model_card_lists_licenses_or_their_absence() -> None:
    named = part(lines_of(changed(tiny_model(), licenses=["CC0-1.0", "MIT"])), "## License of the data")
    assert named[:-1] == ["- CC0-1.0", "- MIT"]
    unknown = part(lines_of(changed(tiny_model(), licenses=[])), "## License of the data")
    assert unknown[0] == "The license of the training data is unknown."
    assert named[-1] == unknown[-1]
    assert named[-1].startswith("The author of the model decides on its own license")


def test_model_card_lists_known_provenance() -> None:
    assert part(lines_of(changed(tiny_model(), provenance=PROVENANCE)), "## Provenance") == [
        "- Recipe: low_complexity",
        "- Network: name shared_resnet, stem_stride 2 x 4, shared yes",
        "- Distilled from: label_fraction 0.5, teachers (recipe default, network (name shared_resnet, width 64)),"
        " (sha256 5e)",
        "- Split: fold 1, seed 0",
        "- Seed: 0",
        "- Versions: python 3",
    ]


def test_model_card_escapes_its_name() -> None:
    first = model_card(tiny_model(), "a\n# b <i>|", 1).splitlines()[0]
    assert first == "# a &#35; b &lt;i>&#124;"


def test_model_card_joins_the_lines_of_a_text() -> None:
    lines = lines_of(changed(tiny_model(), licenses=["one\n two\r\n\nthree"]))
    assert part(lines, "## License of the data")[0] == "- one two three"


def assert_sound(lines: list[str]) -> None:
    """Check the headings, equal table rows, no tags, and no control characters."""
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
def test_model_card_escapes_every_text_of_a_model(where: str, text: str, escaped: str) -> None:
    results = {"compressed": {"test": METRICS}}
    model = changed(tiny_model(), provenance=PROVENANCE, results=results)
    changes: dict[str, dict[str, Any]] = {
        "label": {"labels": (text, "outdoor", "transportation")},
        "license": {"licenses": [text]},
        "data": {"provenance": PROVENANCE | {"data": text}},
        "train_clips": {"provenance": PROVENANCE | {"train_clips": {text: 3}}},
        "provenance": {"provenance": PROVENANCE | {"recipe": text}},
        "version": {"provenance": PROVENANCE | {"scenelet": text}},
        "key": {"provenance": PROVENANCE | {"network": {text: "value"}}},
        "side": {"results": {"compressed": {text: METRICS}}},
    }
    lines = model_card(changed(model, **changes[where]), "my model", 4321).split("\n")
    assert_sound(lines)
    assert_sound(lines_of(model))
    assert escaped in "\n".join(lines)
    assert escaped not in "\n".join(lines_of(model))
    assert len(lines) == len(model_card(model, "my model", 4321).split("\n"))


def test_model_card_states_the_calibration() -> None:
    before, after = {"log_loss": 0.3, "ece": 0.1}, {"log_loss": 0.2, "ece": 0.05}
    stored = {"temperature": 1.5, "subset": "test", "clips": 1200, "before": before, "after": after}
    for background in (None, "indoor"):
        model = changed(tiny_model(), background=background)
        assert "were not calibrated" in "\n".join(lines_of(model))
        card = "\n".join(lines_of(changed(model, results={"calibration": stored})))
        assert "were calibrated on 1,200 clips of the test split, by a temperature of 1.50." in card
        assert "not calibrated" not in card


def test_model_card_states_the_threshold() -> None:
    threshold = {"subset": "test", "probability": 0.7769, "accuracy": 0.958, "coverage": 0.9, "clips": 1200}
    lines = part(lines_of(changed(tiny_model(), results={"threshold": threshold})), "## Limits")
    expected = "A prediction with less than 77.7 % counts as unsure: 95.8 % of the predictions above it were correct,"
    assert lines[-1] == f"{expected} on 1,200 held-out clips."


def test_model_card_states_the_thresholds_of_labels() -> None:
    stored = {"probabilities": {"indoor": 0.9, "transportation": None}, "false_alarms_per_hour": 1, "hours": 2}
    lines = part(lines_of(changed(tiny_model(), results={"label_thresholds": stored})), "## Limits")
    limits = "indoor 90.0 %, outdoor 50.0 %, transportation never sure"
    assert lines[-1] == (
        f"Each label has a threshold of its own: {limits}. With these, 2 h of background had at most 1 false"
        " alarm per hour, of all labels together."
    )


@pytest.mark.parametrize(
    "threshold", [{"probability": "x", "accuracy": 1, "coverage": 1, "clips": 1}, [0.5], {"probability": 0.5}]
)
def test_model_card_omits_an_invalid_threshold(threshold: Any) -> None:
    lines = part(lines_of(changed(tiny_model(), results={"threshold": threshold})), "## Limits")
    assert lines == part(lines_of(tiny_model()), "## Limits")


def test_model_card_states_the_minimum_similarity() -> None:
    lines = part(lines_of(with_known_sounds(tiny_model(), 0.8765)), "## Limits")
    assert any(
        line.startswith("A sound with a similarity below 0.8765 to all classes counts as unsure") for line in lines
    )
    assert not any("similarity" in line for line in part(lines_of(tiny_model()), "## Limits"))
