"""Numbers of clips of each class in each subset of a data set, as in the paper's Table 2."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.tau_sets import TAU_2020_3CLASS
from scenelet.utils.text import markdown_table

PAPER = {"train": TAU_2020_3CLASS.train, "test": TAU_2020_3CLASS.test}
"""Table 2: the development set of DCASE 2020 Task 1B."""
NO_SPLIT = "in no split"


def class_counts(table: ClipTable) -> dict[str, Any]:
    """Count the clips and groups of each class in each subset, as values for JSON.

    The subsets are those of the data's own split. If it has none, they are its folds. If it has neither, there is one
    subset of all clips.

    Returns:
        "data", "subsets" {subset: {label: {"clips", "groups"}}}, and "paper", which is Table 2 if the data has the
        same classes, else None.
    """
    subsets: dict[str, list[Clip]] = {}
    for clip in table.clips:
        own = clip.split or NO_SPLIT
        if not table.has_split:
            own = "all" if clip.fold is None else f"fold {clip.fold}"
        subsets.setdefault(own, []).append(clip)
    order = [*SPLITS, *(f"fold {fold}" for fold in table.folds), "all", NO_SPLIT]
    counts = {}
    for subset in sorted(subsets, key=order.index):
        clips = Counter(clip.label for clip in subsets[subset])
        groups = Counter(label for label, _ in {(clip.label, clip.group) for clip in subsets[subset]})
        counts[subset] = {label: {"clips": clips[label], "groups": groups[label]} for label in table.labels}
    has_paper_classes = set(table.labels) == set(TAU_2020_3CLASS.train)
    return {"data": table.describe(), "subsets": counts, "paper": PAPER if has_paper_classes else None}


def counts_markdown(counts: Mapping[str, Any]) -> str:
    """Format the result of `class_counts` with one row per class and one column per subset, next to the paper's."""
    subsets, paper = counts["subsets"], counts["paper"] or {}
    labels = list(next(iter(subsets.values())))
    columns = ["class", *(f"{subset}: clips (groups)" for subset in subsets), *(f"paper: {subset}" for subset in paper)]
    rows = []
    for label in labels:
        own = [f"{subset[label]['clips']:,} ({subset[label]['groups']:,})" for subset in subsets.values()]
        rows.append([label, *own, *(f"{subset[label]:,}" for subset in paper.values())])
    totals = [f"{sum(count['clips'] for count in subset.values()):,}" for subset in subsets.values()]
    rows.append(["total", *totals, *(f"{sum(subset.values()):,}" for subset in paper.values())])
    lines = ["## Table 2: clips of each class", "", *markdown_table(columns, rows)]
    return "\n".join([*lines, "", f"Data: {counts['data']}."])
