"""Which groups are named worst, and in what order."""

from pathlib import Path

from scenelet.data.clips import Clip
from scenelet.evaluation.by_group import WORST, group_rows, worst_groups
from scenelet.evaluation.report import ClipResult


def results_of(group: str, right: int, wrong: int) -> list[ClipResult]:
    clip = Clip(Path("x"), "x", "rain", group)
    return [ClipResult(clip, "rain", (1.0, 0.0))] * right + [ClipResult(clip, "sea", (0.0, 1.0))] * wrong


def test_fewest_right_first_then_the_larger_then_by_name() -> None:
    rows = group_rows(
        results_of("b", 1, 1) + results_of("d", 0, 1) + results_of("a", 5, 5) + results_of("c", 3, 0)
        + results_of("e", 0, 2) + results_of("f", 1, 1)
    )  # fmt: skip
    assert [row["group"] for row in rows] == ["e", "d", "a", "b", "f", "c"]
    assert rows[2] == {"group": "a", "labels": ["rain"], "clips": 10, "right": 5, "accuracy": 0.5}
    assert [row["group"] for row in worst_groups(rows)] == ["e", "d", "a", "b", "f"]  # c has no mistake


def test_only_so_many_are_named() -> None:
    rows = group_rows([result for k in range(WORST + 3) for result in results_of(f"{k}", 0, 1)])
    assert len(worst_groups(rows)) == WORST
