"""How sure a measure is: bootstrap intervals over groups, and a paired test between two systems.

Clips of one group (a place, an original recording) are alike, so whole groups are drawn, never single clips:
taken clip by clip, an interval would be too narrow. Groups are drawn class by class, so that a round has every
class in it. What is drawn are the test clips; that a network trained once more would differ too is not in an
interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
BOOTSTRAPS, FLIPS = 2000, 10_000
MIN_GROUPS = 5  # with fewer there is no interval: it would be narrow by chance, or have no width
RESAMPLES_AT_ONCE = 500  # rounds drawn together, so that memory stays small with many groups

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A measure and the ends of its 95 % interval; None where there are fewer than `MIN_GROUPS` groups."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PairedTest:
    """How much higher one system's measure is than another's on the same clips, and the p-value of no difference."""

    difference: Interval
    p: float


def clip_mean(values: ArrayLike, groups: Sequence[str], rng: np.random.Generator) -> Interval:
    """Mean over clips of `values` (clips,), e.g. hits or losses, with its bootstrap interval over `groups` (clips,)."""
    return class_mean(values, np.zeros(len(groups), np.int64), groups, rng)


def class_mean(values: ArrayLike, targets: ArrayLike, groups: Sequence[str], rng: np.random.Generator) -> Interval:
    """Mean over classes of the classes' means over clips: of hits, the macro-average accuracy.

    The interval is the percentile bootstrap over groups (Efron 1979), `BOOTSTRAPS` rounds; groups are drawn
    within strata, which are the groups with clips of the same classes.

    Args:
        values: (clips,) of each clip; 1 or 0 for a hit or a miss, or the mean over several trainings.
        targets: (clips,) class indices.
        groups: (clips,) what was recorded together.
        rng: draws the groups.

    Raises:
        ValueError: no clips, or lengths that differ.
    """
    sums, clips = _by_group(values, targets, groups)
    value = float(_means(np.ones((1, len(sums))), sums, clips)[0])
    if len(sums) < MIN_GROUPS:
        return Interval(value, None, None)
    _, strata = np.unique(clips > 0, axis=0, return_inverse=True)
    draws = []
    for size in _sizes(BOOTSTRAPS):
        weights = np.empty((size, len(sums)))
        for stratum in range(int(strata.max()) + 1):
            own = np.flatnonzero(strata == stratum)
            weights[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size)
        draws.append(_means(weights, sums, clips))
    low, high = np.quantile(np.concatenate(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def paired_test(
    values: ArrayLike, reference: ArrayLike, targets: ArrayLike, groups: Sequence[str], rng: np.random.Generator
) -> PairedTest:
    """Compare two systems on the same clips; `values` and `reference` (clips,) are hits as in `class_mean`.

    The p-value is that of the two-sided sign-flip test on groups: were the systems alike, each group's difference
    could as well have the other sign. `FLIPS` random choices of signs, and the one that was seen, are compared
    (Phipson and Smyth 2010: the smallest p is 1 / (FLIPS + 1)). It is not corrected for making several tests.

    Raises:
        ValueError: as `class_mean`.
    """
    differences = np.asarray(values, np.float64) - np.asarray(reference, np.float64)
    interval = class_mean(differences, targets, groups, rng)
    sums, clips = _by_group(differences, targets, groups)
    present = clips.sum(axis=0) > 0
    share = sums[:, present] / clips.sum(axis=0)[present] / present.sum()
    weights = share.sum(axis=1)  # (groups,) what each group adds to the difference
    extreme = 0
    for size in _sizes(FLIPS):
        signs = rng.integers(2, size=(size, len(weights))) * 2 - 1
        # sums of the same terms in another order differ in their last digits
        extreme += int((np.abs(signs @ weights) >= abs(weights.sum()) - 1e-12).sum())
    return PairedTest(interval, (extreme + 1) / (FLIPS + 1))


def interval_text(interval: Mapping[str, float | None], digits: int, scale: float = 1.0, sign: bool = False) -> str:
    """`"91.3 [88.0, 94.2]"` from an `Interval`'s values; without its ends `"75.0 [few groups]"`."""
    form = f"{'+' if sign else ''}z.{digits}f"  # z: what rounds to nothing has no minus
    value, low, high = interval["value"], interval["low"], interval["high"]
    assert value is not None
    if low is None or high is None:
        return f"{scale * value:{form}} [few groups]"
    return f"{scale * value:{form}} [{scale * low:{form}}, {scale * high:{form}}]"


def binomial_half_width(share: float, clips: int) -> float:
    """Half the width of the plain 95 % interval of a share measured on so many independent clips."""
    return float(1.959964 * np.sqrt(share * (1 - share) / clips))


def _by_group(values: ArrayLike, targets: ArrayLike, groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Sums of values and numbers of clips, (groups, classes) each."""
    of_clips, classes = np.asarray(values, np.float64), np.asarray(targets, np.int64)
    if not len(of_clips) == len(classes) == len(groups) > 0:
        raise ValueError(f"{len(of_clips)} values, {len(classes)} targets and {len(groups)} groups; give one a clip")
    _, index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    shape = int(index.max()) + 1, int(classes.max()) + 1
    sums, clips = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (index, classes), of_clips)
    np.add.at(clips, (index, classes), 1.0)
    return sums, clips


def _means(weights: Floats, sums: Floats, clips: Floats) -> Floats:
    """(rounds, groups) how often each group was drawn -> (rounds,) the mean of the classes' means."""
    present = clips.sum(axis=0) > 0
    means: Floats = ((weights @ sums[:, present]) / (weights @ clips[:, present])).mean(axis=1)
    return means


def _sizes(rounds: int) -> list[int]:
    """`rounds` in portions."""
    return [min(RESAMPLES_AT_ONCE, rounds - start) for start in range(0, rounds, RESAMPLES_AT_ONCE)]
