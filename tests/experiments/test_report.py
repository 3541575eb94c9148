"""Files of a comparison, and the check that keeps another table's files."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.example_trials import device_result, make_result, random_result
from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.experiments.comparison import SystemResult, compare, summarize_settings
from scenelet.experiments.report import check_same_results, markdown, write_comparison
from scenelet.experiments.results import TrialResult
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


@pytest.mark.parametrize(
    ("accuracies", "is_said"),
    [
        ((98.0, 98.1, 97.9), True),
        ((42.4, 45.3, 50.3, 53.2, 57.0), False),
        ((98.0, 98.1, 90.0), False),
        ((98.0,), False),
    ],
    ids=["close", "far apart", "one of three pairs", "one row"],
)
def test_markdown_says_if_most_differences_of_the_paper_are_small(accuracies: tuple[float, ...], is_said: bool) -> None:
    figures = [PaperFigures(accuracy=accuracy, parameters="1K") for accuracy in accuracies]
    rows = [System(name=f"row {number}", paper=paper) for number, paper in enumerate(figures)]
    table = TABLE.model_copy(update={"rows": (*rows, System(name="old")), "mean_row": "mean"})
    results = [SystemResult(row, CONFIG, RESULTS[0].trials, 2) for row in table.rows]
    text = markdown(compare(table, results, "some data", "it", "comparison", False))
    assert ("Most differences between the paper's rows are smaller." in text) == is_said
    assert "We added the ±" in text


def test_markdown_mean_of_the_papers_rows_has_no_interval() -> None:
    table = TABLE.model_copy(update={"rows": (TABLE.rows[0],), "mean_row": "mean"})
    text = markdown(compare(table, RESULTS[:1], "some data", "it", "comparison", False))
    mean = next(line for line in text.splitlines() if line.startswith("| mean |"))
    assert "| 98.0 |" in mean
    assert "98.0 ± 0.42" in text


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


def test_markdown_marks_the_best_epoch_as_not_quotable() -> None:
    old, new = RESULTS
    trials = [trial.model_copy(update={"test_curve": (0.25, 0.965, 0.5)}) for trial in old.trials]
    text = markdown(compared([SystemResult(old.system, CONFIG, trials, 2), new]))
    header, _, first, second = text.splitlines()[2:6]
    column = header.split(" | ").index("best epoch on the test fold, %, not quotable")
    assert (first.split(" | ")[column], second.split(" | ")[column]) == ("96.50", "")
    assert "These clips choose the epoch" in text
    assert "not quotable" not in markdown(compared())


def test_markdown_lists_the_accuracy_of_each_seed() -> None:
    both = [
        SystemResult(row, CONFIG, [random_result("1", seed, skill) for seed in range(seeds)], seeds)
        for row, skill, seeds in zip(TABLE.rows, (0.6, 0.9), (2, 1), strict=True)
    ]
    header, _, first, _ = markdown(compared(both)).splitlines()[2:6]
    column = header.split(" | ").index("by seed, %")
    accuracies = [trial.metrics["macro_accuracy"] for trial in both[0].trials]
    assert first.split(" | ")[column] == " ".join(f"{100 * each:.2f}" for each in accuracies)


def test_markdown_shows_devices_and_the_mean_row() -> None:
    table = TABLE.model_copy(update={"mean_row": "mean of the splits"})
    trials = [device_result({"a": accuracy, "s4": 0.2}, ("a",)) for accuracy in (0.5, 1.0)]
    systems = [SystemResult(row, CONFIG, [trial], 1) for row, trial in zip(TABLE.rows, trials, strict=True)]
    text = markdown(compare(table, systems, "some data", "it", "comparison", False))
    means = [line for line in text.splitlines() if line.startswith("| mean of the splits |")]
    assert means[0].startswith("| mean of the splits | 47.50 [")
    assert means[1].startswith("| mean of the splits | 75.00 [")  # device a
    assert "'mean of the splits': each clip is averaged over the rows" in text
    assert "| system | a | s4 | all seen | all unseen | seen minus unseen, points |" in text
    unfinished = [systems[0], SystemResult(TABLE.rows[1], CONFIG, [], 1)]
    text = markdown(compare(table, unfinished, "some data", "it", "comparison", False))
    assert "| mean of the splits |  |" in text
    assert "recording device" not in markdown(compared())
    assert "mean of the splits" not in markdown(compared())


def in_folds(held_out: str, skill: dict[str, float]) -> TrialResult:
    """A trial that holds out folds together, or one, with a skill in each."""
    clips = [
        dataclasses.replace(clip, fold=fold)
        for fold in held_out.split("+")
        for clip in random_result(fold, 0, skill[fold]).clips
    ]
    return make_result(held_out, clips)


@pytest.mark.parametrize(("skill", "agree"), [({"1": 1.0, "2": 1.0}, True), ({"1": 1.0, "2": 0.0}, False)])
def test_markdown_says_if_each_fold_makes_the_pooled_choice(skill: dict[str, float], agree: bool) -> None:
    """The first row is between the skills of the second. With a disagreement, each is better on one fold."""
    skills = {"old": {"1": 0.3, "2": 0.6}, "new": skill}
    trials = {name: [in_folds("1+2", own)] for name, own in skills.items()}

    def found() -> dict[str, Any]:
        return compared([SystemResult(row, CONFIG, trials[row.name], len(trials[row.name])) for row in TABLE.rows])

    text = markdown(found())
    assert ("Each fold selects it without its own clips." in text) == agree
    assert ("Quote the test of each fold's own choice." in text) != agree
    assert "Each fold tested with its own choice" not in text
    own = {"1": "new" if agree else "old", "2": "new"}  # fold 1 is chosen for by fold 2, and fold 2 by fold 1
    tests = [in_folds(fold, skills[name]) for fold, name in own.items()]
    for name, test in zip(own.values(), tests, strict=True):
        trials[name].append(test)
    tested = found()["as_chosen"]["macro_accuracy"]
    expected = np.mean([test.metrics["macro_accuracy"] for test in tests])
    assert tested["value"] == pytest.approx(expected)
    assert f"Each fold tested with its own choice: macro accuracy {100 * expected:.2f} [" in markdown(found())


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
