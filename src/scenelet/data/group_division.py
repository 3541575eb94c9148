"""Division of clips in two parts, in whole groups."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from scenelet.data.clips import Clips
from scenelet.errors import DataError
from scenelet.utils.text import first_few

ROUNDING = 1e-9


def hold_out_groups(clips: Clips, fraction: float, seed: int) -> tuple[Clips, Clips]:
    """Divide clips into training and test clips, in whole groups, with each class in both.

    The groups come in the order of their hash. A group becomes test if that brings the classes closer to `fraction`.
    Groups of rare classes come first. The order of two groups does not depend on the others, so that a few new groups
    move few of the others.

    Args:
        clips: the clips, ordered by name.
        fraction: the fraction of each class's clips for the test.
        seed: the seed of the hash.

    Raises:
        DataError: a class cannot be divided, for example because it has only one group.

    >>> from scenelet.data.clips import Clip
    >>> from pathlib import Path
    >>> clips = tuple(Clip(Path(name), name, name[0], group=name[:2]) for name in ("a1x", "a1y", "a2", "b1", "b2"))
    >>> train, test = hold_out_groups(clips, 0.4, seed=0)
    >>> [clip.name for clip in train], [clip.name for clip in test]
    (['a2', 'b1'], ['a1x', 'a1y', 'b2'])
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        counts[clip.group][clip.label] += 1
    numbers = Counter(label for labels in counts.values() for label in labels)
    totals, taken = Counter(clip.label for clip in clips), Counter[str]()
    test: set[str] = set()

    def change(group: str) -> float:
        """Return by how much the classes' distances from the fraction grow."""
        missing = {label: fraction * totals[label] - taken[label] for label in counts[group]}
        return sum(abs(n - missing[label]) - abs(missing[label]) for label, n in counts[group].items())

    def leaves_training_clips(group: str) -> bool:
        return group not in test and all(taken[label] + n < totals[label] for label, n in counts[group].items())

    ranks = {group: hashlib.sha256(f"{seed} {group}".encode(errors="surrogateescape")).digest() for group in counts}
    for group in sorted(counts, key=lambda group: (min(numbers[label] for label in counts[group]), ranks[group])):
        if change(group) < -ROUNDING and leaves_training_clips(group):
            test.add(group)
            taken += counts[group]
    for label in sorted(totals):
        if taken[label]:
            continue
        groups = [group for group in counts if label in counts[group]]
        possible = [group for group in groups if leaves_training_clips(group)]
        if not possible:
            few = "one clip" if totals[label] == 1 else f"clips of one group ({groups[0]!r})"
            if len(groups) > 1:
                few = f"clips in groups with the only training clips of other classes ({first_few(groups)})"
            has_parts = any(clip.start is not None for clip in clips if clip.label == label)
            regroup = "give the parts groups in a table, " if has_parts else ""
            raise DataError(
                f"class {label!r} has only {few}, which cannot be divided between training and test;"
                f" add recordings made elsewhere, {regroup}or leave the class out"
            )
        best = min(possible, key=lambda group: (change(group), ranks[group]))
        test.add(best)
        taken += counts[best]
    return tuple(c for c in clips if c.group not in test), tuple(c for c in clips if c.group in test)


def split_groups(clips: Clips, fraction: float, seed: Sequence[int]) -> tuple[Clips, Clips]:
    """Divide clips in two, in whole groups: the second part holds `fraction` of each class as closely as possible.

    Classes with few groups choose first. A group with several classes follows the first class that chooses it. No
    class is completely in the second part.

    Args:
        clips: the clips, ordered by name.
        fraction: the fraction of each class's clips for the second part.
        seed: the seed of the order in which groups are tried.

    >>> from scenelet.data.clips import Clip
    >>> from pathlib import Path
    >>> clips = tuple(Clip(Path(name), name, "a", group=name[0]) for name in ("1a", "1b", "2a", "2b", "3a", "3b"))
    >>> [len(part) for part in split_groups(clips, 0.3, [0])]
    [4, 2]
    """
    rng = np.random.default_rng(seed)
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        sizes[clip.label][clip.group] += 1
    is_second: dict[str, bool] = {}
    for label in sorted(sizes, key=lambda label: (len(sizes[label]), label)):
        groups = sizes[label]
        names = sorted(groups)
        undecided = [names[i] for i in rng.permutation(len(names)) if names[i] not in is_second]
        already = sum(groups[name] for name in names if is_second.get(name, False))
        chosen = closest_subset_sum(
            [groups[name] for name in undecided],
            target=fraction * groups.total() - already,
            not_all=all(is_second.get(name, True) for name in names),
        )
        is_second |= {name: i in chosen for i, name in enumerate(undecided)}
    return tuple(c for c in clips if not is_second[c.group]), tuple(c for c in clips if is_second[c.group])


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
    sums = [total for total in np.flatnonzero(reached).tolist() if total >= min_sum]
    best = min(sums, key=lambda total: abs(total - target), default=0)
    chosen = set()
    while best > 0:
        chosen.add(int(reached_by[best]))
        best -= sizes[reached_by[best]]
    return chosen
