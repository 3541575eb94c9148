"""How many clips of each class lie on each side of a data set's split: the paper's Table 2."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.tau import TAU_2020_3CLASS

PAPER = {"train": TAU_2020_3CLASS.train, "test": TAU_2020_3CLASS.test}
"""Table 2: the development set of DCASE 2020 Task 1B."""
NO_SPLIT = "in no split"


def class_counts(table: ClipTable) -> dict[str, Any]:
    """Clips and groups of each class by side, as JSON values.

    The sides are those of the data's own split; where it has none, its folds; where it has neither, all clips.

    Returns:
        "data", "sides" {side: {label: {"clips", "groups"}}}, and "paper", Table 2 where the classes are its own.
    """
    dataset: dict[str, list[Clip]] = {}
    for clip in table.clips:
        dataset.setdefault(_side(clip, table.has_split), []).append(clip)
    order = [*SPLITS, *(f"fold {fold}" for fold in table.folds), "all", NO_SPLIT]
    pluralize = {}
    for side in sorted(dataset, key=order.index):
        clips = Counter(clip.label for clip in dataset[side])
        groups = Counter(label for label, _ in {(clip.label, clip.group) for clip in dataset[side]})
        pluralize[side] = {label: {"clips": clips[label], "groups": groups[label]} for label in table.labels}
    three = set(table.labels) == set(TAU_2020_3CLASS.train)
    return {"data": table.describe(), "sides": pluralize, "paper": PAPER if three else None}


def _side(clip: Clip, has_split: bool) -> str:
    if has_split:
        return clip.split or NO_SPLIT
    return "all" if clip.fold is None else f"fold {clip.fold}"


def counts_markdown(counts: Mapping[str, Any]) -> str:
    """A row a class and a column a side, with the paper's beside them."""
    dataset, paper = counts["sides"], counts["paper"]
    labels = list(next(iter(dataset.values())))
    heads = ["class", *(f"{side}: clips (groups)" for side in dataset)]
    heads += [f"paper: {side}" for side in paper] if paper else []
    lines = ["## Table 2: clips of each class", "", heads, ["---"] * len(heads)]
    for label in labels:
        cells = [f"{side[label]['clips']:,} ({side[label]['groups']:,})" for side in dataset.values()]
        lines.append([label, *cells, *(f"{side[label]:,}" for side in (paper or {}).values())])
    totals = [f"{sum(cell['clips'] for cell in side.values()):,}" for side in dataset.values()]
    lines.append(["total", *totals, *(f"{sum(side.values()):,}" for side in (paper or {}).values())])
    text = [line if isinstance(line, str) else f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([*text, "", f"Data: {counts['data']}."])
