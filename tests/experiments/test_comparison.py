"""Comparisons: pooled over folds, averaged over seeds, tested on shared clips, the same each time."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss

from scenelet.config import RunConfig
from scenelet.errors import UsageError
from scenelet.experiments.comparison import RowResult, compare, macro_accuracy, summarize_settings
from scenelet.experiments.report import check_same_results, markdown, write_comparison, write_plot
from scenelet.experiments.results import ClipOutcome, TrialResult
from scenelet.experiments.systems import PaperFigures, System, SystemTable

CONFIG = RunConfig(seed=3, precision="fp32")
LABELS = ("indoor", "outdoor", "transportation")
SYSTEMS = SystemTable(
    title="Two systems",
    reference="old",
    paper_clips=4185,
    paper_data="DCASE 2020 Task 1B",
    rows=(
        System(
            name="old", paper=PaperFigures(accuracy=98.0, per_class=(97.8, 97.4, 98.9), parameters="601K", size="9 KB")
        ),
        System(name="new"),
    ),
)


def cell(held_out: str, seed: int, skill: float, clips: int = 60) -> TrialResult:
    """Answers that are right with a chance of about `skill`; groups of three clips."""
    rng = np.random.default_rng([int(held_out or 0), seed, int(100 * skill)])
    outcomes = []
    for i in range(clips):
        scores = rng.dirichlet(np.ones(3))
        best = i % 3 if rng.random() < skill else (i + 1) % 3
        order = np.argsort(scores)
        scores[[order[-1], best]] = scores[[best, order[-1]]]
        group = f"{held_out}-{i // 3}"
        outcome = ClipOutcome(
            name=f"{held_out}-{i}.wav", label=LABELS[i % 3], group=group, city=None, probabilities=tuple(scores)
        )
        outcomes.append(outcome)
    return TrialResult(
        held_out=held_out,
        seed=seed,
        labels=LABELS,
        train_counts=(1, 2, 3),
        parameters=100,
        parameters_kept=40,
        bytes={"paper": 1234, "disk": 5000 + seed},
        steps=10,
        minutes=0.5,
        versions={},
        clips=tuple(outcomes),
    )


def results(*, new: float = 0.9, folds: tuple[str, ...] = ("1", "2"), seeds: int = 2) -> list[RowResult]:
    def row(index: int, skill: float) -> RowResult:
        cells = [cell(fold, seed, skill) for seed in range(seeds) for fold in folds]
        return RowResult(SYSTEMS.rows[index], CONFIG, cells, len(cells))

    return [row(0, 0.6), row(1, new)]


def test_measures_are_scikit_learns() -> None:
    old = results(seeds=1)[0]
    entry = compare(SYSTEMS, results(seeds=1), "data", "it", "comparison", False)["rows"][0]
    clips = [clip for one in old.cells for clip in one.clips]
    truth = [LABELS.index(clip.label) for clip in clips]
    shares = np.array([clip.probabilities for clip in clips])
    assert entry["macro_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(truth, shares.argmax(1)))
    assert entry["log_loss"]["value"] == pytest.approx(log_loss(truth, shares), rel=1e-5)
    assert entry["clips"] == 120
    assert entry["groups"] == 40
    first = old.cells[0]
    own = [LABELS.index(clip.label) for clip in first.clips]
    said = np.array([clip.probabilities for clip in first.clips]).argmax(1)
    assert macro_accuracy(first) == pytest.approx(balanced_accuracy_score(own, said))
    assert entry["by_cell"][0]["macro_accuracy"] == macro_accuracy(first)


def test_seeds_are_averaged_clip_by_clip() -> None:
    both = compare(SYSTEMS, results(seeds=2), "data", "it", "comparison", False)["rows"][0]
    values = [one["macro_accuracy"] for one in both["by_cell"]]
    assert len(values) == 4
    assert both["macro_accuracy"]["value"] == pytest.approx(np.mean(values))
    assert both["clips"] == 120


def test_a_better_system_is_found_better_and_an_equal_one_is_not() -> None:
    old, new = compare(SYSTEMS, results(new=0.95), "data", "it", "comparison", False)["rows"]
    assert old["against_reference"] is None
    test = new["against_reference"]
    assert test["difference"]["low"] > 0
    assert test["p"] < 0.01
    assert test["clips"] == 120
    twin = [RowResult(SYSTEMS.rows[1], CONFIG, results()[0].cells, 4)]
    same = compare(SYSTEMS, [results()[0], *twin], "data", "it", "comparison", False)["rows"][1]["against_reference"]
    assert (same["difference"]["value"], same["p"]) == (0.0, 1.0)


def test_half_a_table_is_tested_on_what_both_rows_have() -> None:
    old, new = results(folds=("1", "2"), seeds=1)
    half = [RowResult(old.row, CONFIG, old.cells[:1], 2), new]
    entries = compare(SYSTEMS, half, "data", "it", "comparison", False)["rows"]
    assert entries[1]["against_reference"]["clips"] == 60
    assert (entries[0]["cells"], entries[0]["cells_expected"]) == (1, 2)
    assert "old (1 of 2 cells)" in markdown(compare(SYSTEMS, half, "data", "it", "comparison", False))
    other_half = compare(
        SYSTEMS, [RowResult(old.row, CONFIG, old.cells[1:], 2), new], "data", "it", "comparison", False
    )
    mine, theirs = macro_accuracy(new.cells[1]), macro_accuracy(old.cells[1])
    assert other_half["rows"][1]["against_reference"]["difference"]["value"] == pytest.approx(mine - theirs)
    nothing = compare(SYSTEMS, [RowResult(old.row, CONFIG, [], 2), new], "data", "it", "comparison", False)
    assert nothing["rows"][1]["against_reference"] is None
    assert "macro_accuracy" not in nothing["rows"][0]
    assert markdown(nothing)


def test_files_are_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        compared = compare(SYSTEMS, results(), "data", "it", "comparison", False)
        write_comparison(tmp_path / folder, compared, results())
        write_plot(tmp_path / folder, compared)
    for name in ("it.md", "it.json", "it-cells.csv", "it.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert json.loads((tmp_path / "a" / "it.json").read_text())["reference"] == "old"
    assert (tmp_path / "a" / "it.png").read_bytes().startswith(b"\x89PNG")


def test_each_cell_is_a_line(tmp_path: Path) -> None:
    old, new = results()
    write_comparison(tmp_path, compare(SYSTEMS, [old, new], "data", "it", "comparison", False), [old, new])
    lines = list(csv.DictReader((tmp_path / "it-cells.csv").read_text().splitlines()))
    assert [(line["system"], line["held_out"], line["seed"]) for line in lines] == [
        (row.row.name, one.held_out, str(one.seed)) for row in (old, new) for one in row.cells
    ]
    line, first = lines[5], new.cells[1]
    assert (line["held_out"], line["seed"], line["clips"]) == ("2", "0", "60")
    assert float(line["macro_accuracy"]) == pytest.approx(macro_accuracy(first), abs=1e-6)
    truth = [LABELS.index(clip.label) for clip in first.clips]
    shares = [clip.probabilities for clip in first.clips]
    assert float(line["log_loss"]) == pytest.approx(log_loss(truth, shares), abs=1e-5)
    assert (line["parameters_kept"], line["bytes"], line["minutes"]) == ("40", "5000", "0.5")


def test_the_table_says_what_noise_is() -> None:
    text = markdown(compare(SYSTEMS, results(), "some data", "it", "comparison", True))
    assert "98.0 ± 0.42 (97.8, 97.4, 98.9)" in text
    assert "The paper's columns were measured on DCASE 2020 Task 1B" in text
    assert "binomial 95 %" in text
    assert "with the recipe 'comparison'" in text
    assert "In brackets behind an accuracy: indoor, outdoor, transportation." in text
    assert "not corrected for making several tests" in text
    assert "are made" in text
    assert "some data" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_a_table_of_other_data_or_settings_is_not_written_over(tmp_path: Path) -> None:
    settings = {row.name: summarize_settings(CONFIG) for row in SYSTEMS.rows}
    check_same_results(tmp_path, "it", SYSTEMS.title, "data", settings)
    write_comparison(tmp_path, compare(SYSTEMS, results(), "data", "it", "comparison", False), results())
    check_same_results(tmp_path, "it", SYSTEMS.title, "data", settings)
    with pytest.raises(UsageError, match="is of other data"):
        check_same_results(tmp_path, "it", SYSTEMS.title, "more data", settings)
    with pytest.raises(UsageError, match=r"is another table \(Two systems\)"):
        check_same_results(tmp_path, "it", "Three systems", "data", settings)
    with pytest.raises(UsageError, match="is of another table or recipe of this name"):
        check_same_results(tmp_path, "it", SYSTEMS.title, "data", settings | {"new": {"checkpoint": "validation"}})
    (tmp_path / "it.json").write_text("[1]")
    with pytest.raises(UsageError, match="not a table of systems"):
        check_same_results(tmp_path, "it", SYSTEMS.title, "data", settings)


def test_it_says_what_it_was_made_with() -> None:
    old, new = results(seeds=1)
    compared = compare(SYSTEMS, [old, new], "data", "it", "comparison", False)
    assert compared["versions"] == [{}]
    assert compared["rows"][0]["settings"] == {"precision": "fp32"}
    other = [cell.model_copy(update={"versions": {"torch": "9"}}) for cell in new.cells]
    mixed = compare(SYSTEMS, [old, RowResult(new.row, CONFIG, other, 2)], "data", "it", "comparison", False)
    assert mixed["versions"] == [{"torch": "9"}, {}]
    assert "different versions" in markdown(mixed)
    assert "different versions" not in markdown(compared)
