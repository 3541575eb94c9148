"""Plot of a comparison."""

from pathlib import Path
from typing import Any

import pytest

from helpers.example_trials import random_result
from scenelet.config import RunConfig
from scenelet.experiments.comparison import SystemResult, compare
from scenelet.experiments.comparison_plot import write_plot
from scenelet.experiments.systems import PaperFigures, System, SystemTable


def compared(paper: PaperFigures | None) -> dict[str, Any]:
    """A comparison of one finished system with two trials, and one system without any."""
    rows = (System(name="old", paper=paper), System(name="new"))
    table = SystemTable(title="Two systems", reference="old", paper_clips=4185, paper_data="the paper's", rows=rows)
    trials = [random_result(fold, 0, 0.6) for fold in "12"]
    results = [SystemResult(rows[0], RunConfig(), trials, 2), SystemResult(rows[1], RunConfig(), [], 2)]
    return compare(table, results, "some data", "it", "comparison", False)


@pytest.mark.parametrize("paper", [None, PaperFigures(accuracy=98.0, parameters="601K")], ids=["own", "with paper"])
def test_write_plot_is_deterministic(tmp_path: Path, paper: PaperFigures | None) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_plot(tmp_path / folder, compared(paper))
    data = (tmp_path / "a" / "it.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert data == (tmp_path / "b" / "it.png").read_bytes()


def test_write_plot_shows_the_mean_row(tmp_path: Path) -> None:
    plain = compared(None)
    mean = {"name": "mean", "paper": None, "by_trial": [], "macro_accuracy": plain["rows"][0]["macro_accuracy"]}
    pictures = []
    for values in (plain, plain | {"mean_row": mean}):
        write_plot(tmp_path, values)
        pictures.append((tmp_path / "it.png").read_bytes())
    assert pictures[0] != pictures[1]
