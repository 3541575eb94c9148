"""Made results of an evaluation, and a report of them, for tests of its pages."""

from pathlib import Path
from typing import Any

import numpy as np

from scenelet.data.clips import Clip
from scenelet.evaluation.by_city import city_figures, subset_figures
from scenelet.evaluation.by_group import group_rows, worst_groups
from scenelet.evaluation.metrics import reliability
from scenelet.evaluation.report import ClipResult


def made_results(
    labels: tuple[str, ...], count: int = 60, seed: int = 0, places: tuple[str, ...] = ("a", "b", "c")
) -> list[ClipResult]:
    """Clips of groups of three, answered rightly in three of four cases, from two cities."""
    rng = np.random.default_rng(seed)
    results = []
    for i in range(count):
        truth = i % len(labels)
        answer = truth if rng.uniform() < 0.75 else int(rng.integers(len(labels)))
        shares = rng.dirichlet(np.full(len(labels), 0.5) + 6 * (np.arange(len(labels)) == answer))
        name = f"{i:03}.wav"
        group = f"{places[i % len(places)]}{i // (3 * len(labels))}"
        clip = Clip(Path(name), name, labels[truth], group, city=("oslo", "rome")[i % 2])
        results.append(
            ClipResult(clip, labels[int(shares.argmax())], tuple(shares.tolist()), (tuple(shares.tolist()),))
        )
    return results


def made_report(results: list[ClipResult], labels: tuple[str, ...]) -> dict[str, Any]:
    """What `scenelet.evaluation.evaluate` says of them."""
    targets = [labels.index(result.clip.label) for result in results]
    rows = group_rows(results)
    return {
        **subset_figures(results, labels),
        **city_figures(results, [], ["oslo"], labels),
        "reliability": reliability(targets, [result.probabilities for result in results]),
        "worst_groups": worst_groups(rows),
        "per_group": rows,
        "model": "models/made.scn",
        "labels": list(labels),
        "data": "synthetic",
        "synthetic": True,
        "split": "test",
        "split_description": "all of it",
        "warning": None,
        "fold": None,
        "city": None,
    }
