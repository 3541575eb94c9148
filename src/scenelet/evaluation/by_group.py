"""Which groups (places, original recordings) a model gets wrong."""

from collections.abc import Sequence
from typing import Any

from scenelet.evaluation.report import ClipResult

WORST = 10  # groups shown


def group_rows(results: Sequence[ClipResult]) -> list[dict[str, Any]]:
    """A row a group: "group", "labels" of its clips, "clips", "right" and "accuracy"; those with fewest right first.

    Of groups with the same share right, the larger ones come first, and then it is by name.
    """
    of_group: dict[str, list[ClipResult]] = {}
    for result in results:
        of_group.setdefault(result.clip.group, []).append(result)
    rows = []
    for group, own in of_group.items():
        right = sum(result.right for result in own)
        rows.append(
            {
                "group": group,
                "labels": sorted({result.clip.label for result in own}),
                "clips": len(own),
                "right": right,
                "accuracy": right / len(own),
            }
        )
    return sorted(rows, key=lambda row: (row["accuracy"], -row["clips"], row["group"]))


def worst_groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of `group_rows`, those with a mistake."""
    return [row for row in rows if row["right"] < row["clips"]][:WORST]
