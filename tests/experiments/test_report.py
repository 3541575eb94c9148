"""Files of a comparison, and the check that keeps another table's files."""

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.example_trials import random_result
from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.experiments.comparison import SystemResult, compare, summarize_settings
from scenelet.experiments.report import check_same_results, markdown, write_comparison
from scenelet.experiments.systems import PaperFigures, System, SystemTable

CONFIG = RunConfig(seed=3, precision="fp32")
PAPER = PaperFigures(accuracy=98.0, per_class=(97.8, 97.4, 98.9), parameters="601K", size="9 KB")
TABLE = SystemTable(
    title="Two systems",
    reference="old",
    paper_clips=4185,
    paper_data="DCASE 2020 Task 1B",
    rows=(System(name="old", paper=PAPER), System(name="new")),
)
RESULTS = [
    SystemResult(row, CONFIG, [random_result(fold, 0, skill) for fold in "12"], 2)
    for row, skill in zip(TABLE.rows, (0.6, 0.9), strict=True)
]


def compared(results: list[SystemResult] | None = None, synthetic: bool = False) -> dict[str, Any]:
    return compare(TABLE, results or RESULTS, "some data", "it", "comparison", synthetic)


def test_write_comparison_is_deterministic(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_comparison(tmp_path / folder, compared(), RESULTS)
    for name in ("it.md", "it.json", "it-trials.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "it.json").read_text()) == json.loads(json.dumps(compared()))
    assert (tmp_path / "a" / "it.md").read_text() == markdown(compared())


def test_markdown_explains_the_columns() -> None:
    text = markdown(compared(synthetic=True))
    assert "98.0 ± 0.42 (97.8, 97.4, 98.9)" in text
    assert "The paper's columns were measured on DCASE 2020 Task 1B" in text
    assert "binomial 95 %" in text
    assert "with the recipe 'comparison'" in text
    assert "In brackets after an accuracy: indoor, outdoor, transportation." in text
    assert "Answers: from log-mel that the feature cache rounds to 16 bits." in text
    assert "not corrected for multiple tests" in text
    assert "recordings are synthetic" in text
    assert "some data" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_markdown_names_unfinished_systems() -> None:
    old, new = RESULTS
    half = SystemResult(old.system, CONFIG, old.trials[:1], 2)
    assert "old (1 of 2 trials)" in markdown(compared([half, new]))
    empty = SystemResult(old.system, CONFIG, [], 2)
    assert "| old (0 of 2 trials) |  |" in markdown(compared([empty, new]))


def test_markdown_counts_one_in_the_singular() -> None:
    old, new = RESULTS
    trial = old.trials[0].model_copy(update={"steps": 1, "clips": old.trials[0].clips[:3]})
    text = markdown(compared([SystemResult(old.system, CONFIG, [trial], 1), SystemResult(new.system, CONFIG, [], 1)]))
    assert "Each trial: 1 optimizer step, in fp32" in text
    assert "The smallest class has 1 group." in text
    assert "new (0 of 1 trial)" in text


def test_markdown_names_the_precision() -> None:
    old, new = RESULTS
    other = SystemResult(new.system, CONFIG.model_copy(update={"precision": "bf16"}), new.trials, 2)
    assert "in bf16 or fp32, weights of the last epoch" in markdown(compared([old, other]))


def test_markdown_mentions_different_versions() -> None:
    old, new = RESULTS
    trials = [trial.model_copy(update={"versions": {"torch": "9"}}) for trial in new.trials]
    assert "different versions" in markdown(compared([old, SystemResult(new.system, CONFIG, trials, 2)]))
    assert "different versions" not in markdown(compared())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "more data"}, "is about other data"),
        ({"title": "Three systems"}, r"is another table \(Two systems\)"),
        ({"settings": {"new": {"checkpoint": "validation"}}}, "recipe or machine \\(checkpoint of 'new'"),
    ],
    ids=["data", "title", "settings"],
)
def test_check_same_results_rejects_another_table(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    own = {
        "title": TABLE.title,
        "data": "some data",
        "settings": {row.name: summarize_settings(CONFIG) for row in TABLE.rows},
    }
    check_same_results(tmp_path, "it", **own)  # there are no files yet
    write_comparison(tmp_path, compared(), RESULTS)
    check_same_results(tmp_path, "it", **own)
    changes = {key: own[key] | value if isinstance(value, dict) else value for key, value in changes.items()}
    with pytest.raises(UsageError, match=words):
        check_same_results(tmp_path, "it", **(own | changes))


def test_check_same_results_rejects_another_file(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text("[1]")
    with pytest.raises(UsageError, match="not a table of systems"):
        check_same_results(tmp_path, "it", TABLE.title, "some data", {})
