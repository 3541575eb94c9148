"""The subset-sum problem, by which splits choose whole groups."""

from collections.abc import Sequence

import numpy as np


def closest_subset_sum(sizes: Sequence[int], target: float, min_sum: int = 0, not_all: bool = False) -> set[int]:
    """Return indices of the `sizes` whose sum is closest to `target`: the subset-sum problem, solved exactly.

    Of two equally close sums, the smaller one is chosen. Of several subsets with that sum, the one that is reached
    first in the given order is chosen. The set is empty if no sum is allowed.

    Args:
        sizes: integers above 0.
        target: the wanted sum.
        min_sum: the minimum sum.
        not_all: the subset must not contain all sizes.

    >>> sorted(closest_subset_sum([5, 3, 8], target=9))
    [0, 1]
    >>> sorted(closest_subset_sum([5, 3, 8], target=10))
    [1, 2]
    """
    if not sizes:
        return set()
    # dropping any element from a larger sum brings it closer to the target
    highest = min(sum(sizes) - not_all, max(min_sum, int(np.ceil(target))) + max(sizes))
    reached_by = np.full(highest + 1, -1)  # the element that first reached each sum
    reached = np.zeros(highest + 1, bool)
    reached[0] = True
    for index, size in enumerate(sizes):
        if size > highest:
            continue
        new = reached[: highest + 1 - size] & ~reached[size:]
        reached_by[size:][new] = index
        reached[size:] |= new
    sums = np.flatnonzero(reached)
    sums = sums[sums >= min_sum]
    if len(sums) == 0:
        return set()
    best = int(sums[np.argmin(np.abs(sums - target))])
    chosen = set()
    while best > 0:
        chosen.add(int(reached_by[best]))
        best -= sizes[reached_by[best]]
    return chosen
