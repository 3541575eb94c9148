"""Bootstrap intervals over groups of clips, and a paired test between two systems.

Clips of one group (one location, one original recording) are similar. Intervals that resample single clips would be
too narrow, so whole groups are resampled. Groups are drawn class by class, so every class occurs in every round. The
intervals cover the choice of test clips. They do not cover the variation between trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
BOOTSTRAP_ROUNDS, FLIP_ROUNDS = 2000, 10_000
EXACT_GROUPS = 13  # 2^13 choices of signs are fewer than `FLIP_ROUNDS`, and SciPy then takes each of them
MIN_GROUPS = 5  # an interval of fewer groups would be narrow by chance, or have no width
BATCH_ROUNDS = 500  # rounds drawn together; bounds the memory with many groups

Floats = NDArray[np.float64]
Groups = Sequence[str] | NDArray[np.object_]


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval, whose ends are None with fewer than `MIN_GROUPS` groups."""

    value: float
    low: float | None
    high: float | None


def clip_mean(values: ArrayLike, groups: Groups, rng: np.random.Generator) -> Interval:
    """Compute the mean over clips, e.g. of hits or losses, with its bootstrap interval.

    Args:
        values: (clips,) a value of each clip.
        groups, rng: as in `class_mean`.

    >>> interval = clip_mean([1, 1, 0, 1, 1], groups=list("abcde"), rng=np.random.default_rng(0))
    >>> round(interval.value, 2), interval.low < interval.value < interval.high
    (0.8, True)
    """
    return class_mean(values, np.zeros(len(groups), np.int64), groups, rng)


def class_mean(values: ArrayLike, targets: ArrayLike, groups: Groups, rng: np.random.Generator) -> Interval:
    """Compute the mean over classes of each class's mean over clips. For hits, this is the macro-average accuracy.

    The interval is the percentile bootstrap over groups (Efron 1979) with `BOOTSTRAP_ROUNDS` rounds. Groups are drawn
    within strata. A stratum holds the groups that have clips of the same classes.

    Args:
        values: (clips,) a value of each clip: 1 for a hit and 0 for a miss, or the mean over several trainings.
        targets: (clips,) class indices.
        groups: (clips,) the clips' groups.
        rng: draws the groups.

    Raises:
        ValueError: there are no clips, or the lengths differ.

    >>> class_mean([1, 1, 1, 0], targets=[0, 0, 0, 1], groups=list("abcd"), rng=np.random.default_rng(0))
    Interval(value=0.5, low=None, high=None)
    """
    sums, clips = _by_group(values, targets, groups)
    value = float(_means(np.ones((1, len(sums))), sums, clips)[0])
    if len(sums) < MIN_GROUPS:
        return Interval(value, None, None)
    _, strata = np.unique(clips > 0, axis=0, return_inverse=True)
    draws = []
    for _ in range(BOOTSTRAP_ROUNDS // BATCH_ROUNDS):
        weights = np.empty((BATCH_ROUNDS, len(sums)))
        for stratum in range(int(strata.max()) + 1):
            own = np.flatnonzero(strata == stratum)
            weights[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), BATCH_ROUNDS)
        draws.append(_means(weights, sums, clips))
    low, high = np.quantile(np.concatenate(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def class_mean_gap(
    values: ArrayLike, is_first: ArrayLike, targets: ArrayLike, groups: Groups, rng: np.random.Generator
) -> Interval:
    """Compute the `class_mean` of some clips minus the `class_mean` of the others.

    Each draw of groups serves both. So if a group has clips of both, what they have in common cancels out.

    Args:
        values, targets, groups, rng: as in `class_mean`.
        is_first: (clips,) True for the clips whose mean comes first.

    Raises:
        ValueError: as `class_mean`, or all clips are on one side.

    >>> hits, is_first = [1, 1, 1, 0], [True, True, False, False]
    >>> class_mean_gap(hits, is_first, [0, 0, 0, 0], groups=list("abab"), rng=np.random.default_rng(0)).value
    0.5
    """
    first, classes = np.asarray(is_first, bool), np.asarray(targets, np.int64)
    if first.all() or not first.any():
        raise ValueError("all clips are on one side; give clips of both")
    # the mean over the classes of both sides is their difference if each value has its side's weight
    own, others = len(np.unique(classes[first])), len(np.unique(classes[~first]))
    weights = np.where(first, (own + others) / own, -(own + others) / others)
    return class_mean(weights * np.asarray(values, np.float64), 2 * classes + first, groups, rng)


def paired_test(
    values: ArrayLike, reference: ArrayLike, targets: ArrayLike, groups: Groups, rng: np.random.Generator
) -> tuple[Interval, float]:
    """Compare two systems on the same clips.

    The p-value belongs to the two-sided sign-flip test on groups. If the systems are equally good, the sign of each
    group's difference is random. If at most `EXACT_GROUPS` groups differ, the test compares the observed difference
    with all choices of signs. Otherwise SciPy draws `FLIP_ROUNDS` of them. There is no correction for multiple tests.

    Args:
        values, reference: (clips,) hits of the two systems, as in `class_mean`.
        targets, groups, rng: as in `class_mean`; `rng` draws the signs too.

    Returns:
        The first system's mean minus the second's, and the p-value of the hypothesis that they are equally good.

    Raises:
        ValueError: as `class_mean`.

    >>> hits, groups = np.ones(8), list("abcdefgh")
    >>> difference, p = paired_test(hits, 1 - hits, np.zeros(8, int), groups, np.random.default_rng(0))
    >>> difference.value, p < 0.05
    (1.0, True)
    """
    differences = np.asarray(values, np.float64) - np.asarray(reference, np.float64)
    interval = class_mean(differences, targets, groups, rng)
    sums, clips = _by_group(differences, targets, groups)
    present = clips.sum(axis=0) > 0
    weights = (sums[:, present] / clips.sum(axis=0)[present]).mean(axis=1)  # contribution of each group
    signs = weights[weights != 0]
    if len(signs) < 2:  # SciPy needs two values; one group gives the same sum with either sign
        return interval, 1.0
    from scipy.stats import permutation_test  # half a second, which only comparisons need

    found = permutation_test(
        (signs,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIP_ROUNDS,
        batch=BATCH_ROUNDS,
        rng=rng,
    )
    return interval, float(found.pvalue)


def interval_text(interval: Mapping[str, float | None], digits: int, scale: float = 1.0, sign: bool = False) -> str:
    """Format a value and its interval, times `scale`; `sign` writes a plus sign too.

    >>> interval_text({"value": 0.913, "low": 0.88, "high": 0.942}, digits=1, scale=100)
    '91.3 [88.0, 94.2]'
    >>> interval_text({"value": 0.75, "low": None, "high": None}, digits=2)
    '0.75 [few groups]'
    """
    form = f"{'+' if sign else ''}z.{digits}f"  # z: no minus sign for a value that rounds to zero
    value, low, high = interval["value"], interval["low"], interval["high"]
    assert value is not None
    if low is None or high is None:
        return f"{scale * value:{form}} [few groups]"
    return f"{scale * value:{form}} [{scale * low:{form}}, {scale * high:{form}}]"


def binomial_half_width(fraction: float, clips: int) -> float:
    """Compute half the width of the normal 95 % interval of a fraction of independent clips.

    >>> round(binomial_half_width(0.98, 4185), 4)
    0.0042
    """
    return float(1.959964 * np.sqrt(fraction * (1 - fraction) / clips))


def _by_group(values: ArrayLike, targets: ArrayLike, groups: Groups) -> tuple[Floats, Floats]:
    """Add up the values and count the clips of each group and class; returns two arrays (groups, classes)."""
    clip_values, classes = np.asarray(values, np.float64), np.asarray(targets, np.int64)
    if not len(clip_values) == len(classes) == len(groups) > 0:
        raise ValueError(
            f"{len(clip_values)} values, {len(classes)} targets and {len(groups)} groups; give one of each per clip"
        )
    _, index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    shape = int(index.max()) + 1, int(classes.max()) + 1
    sums, clips = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (index, classes), clip_values)
    np.add.at(clips, (index, classes), 1.0)
    return sums, clips


def _means(weights: Floats, sums: Floats, clips: Floats) -> Floats:
    """Compute the mean of the classes' means (rounds,), from the number of draws (rounds, groups) and `_by_group`."""
    present = clips.sum(axis=0) > 0
    means: Floats = ((weights @ sums[:, present]) / (weights @ clips[:, present])).mean(axis=1)
    return means
