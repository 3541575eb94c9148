"""Intervals and the paired test: against SciPy, enumeration and the normal distribution, and in simulations."""

import itertools
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenelet.evaluation.bootstrap import (
    binomial_half_width,
    class_mean,
    class_mean_gap,
    clip_mean,
    interval_text,
    paired_test,
)


def test_clip_mean_of_single_clips_agrees_with_scipy(rng: np.random.Generator) -> None:
    values = rng.random(300)
    ours = clip_mean(values, [str(i) for i in range(300)], np.random.default_rng(1))
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2))
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.003)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.003)


def test_clip_mean_counts_the_clips_of_a_group_once(rng: np.random.Generator) -> None:
    """Ten copies of every clip, in its group, leave the interval as wide as before."""
    hits = (rng.random(100) < 0.8).astype(float)
    groups = [str(i) for i in range(100)]
    once = clip_mean(hits, groups, np.random.default_rng(0))
    copies = clip_mean(np.repeat(hits, 10), np.repeat(groups, 10).tolist(), np.random.default_rng(0))
    assert (copies.value, copies.low, copies.high) == pytest.approx((once.value, once.low, once.high))
    loose = clip_mean(np.repeat(hits, 10), [str(i) for i in range(1000)], np.random.default_rng(0))
    assert loose.high - loose.low < 0.5 * (once.high - once.low)


def test_class_mean_draws_every_class_in_every_round() -> None:
    """One class of two groups is always right and the others are wrong, so every round gives a third."""
    hits, targets = [1, 1, *[0] * 20], [0, 0, *[1] * 10, *[2] * 10]
    interval = class_mean(hits, targets, [str(i) for i in range(22)], np.random.default_rng(0))
    assert (interval.low, interval.high) == pytest.approx((1 / 3, 1 / 3))


def test_clip_mean_of_few_groups_has_no_interval() -> None:
    few = clip_mean([1, 0, 1, 1, 1], list("aabcd"), np.random.default_rng(0))
    assert (few.value, few.low, few.high) == (0.8, None, None)
    assert interval_text(asdict(few), 1, 100) == "80.0 [few groups]"
    enough = clip_mean([1, 0, 1, 1, 1], list("abcde"), np.random.default_rng(0))
    assert enough.low is not None
    assert enough.high is not None
    assert enough.low < 0.8 < enough.high
    assert interval_text({"value": 0.5, "low": -0.25, "high": 1.0}, 2, 100, sign=True) == "+50.00 [-25.00, +100.00]"
    assert interval_text({"value": -1e-17, "low": -1e-9, "high": 0.0}, 2, 100, sign=True) == "+0.00 [+0.00, +0.00]"


def test_class_mean_weighs_classes_equally() -> None:
    hits, targets = [1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 1, 1]
    assert class_mean(hits, targets, list("abcdef"), np.random.default_rng(0)).value == 0.75


def test_class_mean_gap_is_the_difference_of_two_class_means(rng: np.random.Generator) -> None:
    """The sides have other numbers of clips and of classes."""
    hits, groups = rng.random(60), [f"{i % 20}" for i in range(60)]
    is_first = np.arange(60) < 42
    targets = np.where(is_first, rng.integers(0, 3, 60), rng.integers(0, 2, 60))
    gap = class_mean_gap(hits, is_first, targets, groups, np.random.default_rng(0))
    sides = [
        class_mean(hits[own], targets[own], np.array(groups, object)[own], rng).value for own in (is_first, ~is_first)
    ]
    assert gap.value == pytest.approx(sides[0] - sides[1])
    assert gap.low < gap.value < gap.high


def test_class_mean_gap_interval_agrees_with_scipy(rng: np.random.Generator) -> None:
    """Each group has one clip on each side, so the gap is the mean of the groups' differences."""
    first, second = rng.random(200), rng.random(200)
    groups = [f"{i}" for i in range(200)] * 2
    is_first, targets = np.arange(400) < 200, np.zeros(400, np.int64)
    ours = class_mean_gap(np.concatenate([first, second]), is_first, targets, groups, np.random.default_rng(1))
    differences = (first - second,)
    theirs = stats.bootstrap(
        differences, np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.004)


def test_class_mean_gap_of_one_side_is_refused() -> None:
    with pytest.raises(ValueError, match="give clips of both"):
        class_mean_gap([1, 0], [True, True], [0, 1], list("ab"), np.random.default_rng(0))


@pytest.mark.slow
def test_clip_mean_interval_has_its_nominal_coverage() -> None:
    """The true accuracy of 70 % lies in 95 % of the intervals, for 60 groups of 5 equal clips."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        hits = np.repeat((rng.random(60) < 0.7).astype(float), 5)
        interval = clip_mean(hits, np.repeat(np.arange(60).astype(str), 5).tolist(), rng)
        covered += interval.low <= 0.7 <= interval.high
    assert 0.91 < covered / 400 < 0.98


def exact_p(weights: np.ndarray) -> float:
    """Compute the sign-flip test over all 2^n choices of signs."""
    sums = [abs(np.dot(signs, weights)) for signs in itertools.product((1, -1), repeat=len(weights))]
    return float(np.mean(np.array(sums) >= abs(weights.sum()) - 1e-12))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_paired_test_agrees_with_all_choices_of_signs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(9), rng.integers(1, 4, 9))
    ours, theirs = ((rng.random(len(groups)) < accuracy).astype(float) for accuracy in (0.8, 0.5))
    difference, p = paired_test(ours, theirs, np.zeros(len(groups), int), groups.astype(str).tolist(), rng)
    weights = np.array([(ours - theirs)[groups == g].sum() for g in range(9)]) / len(groups)
    assert difference.value == pytest.approx((ours - theirs).mean())
    assert p == pytest.approx(exact_p(weights))


def test_paired_test_of_few_differing_groups_is_exact(rng: np.random.Generator) -> None:
    """Groups that do not differ change nothing, so 3 of 60 are tested with all 8 choices of signs."""
    differences = np.zeros(60)
    differences[:3] = 0.5, 1.0, 0.25
    groups = [str(i) for i in range(60)]
    _, p = paired_test(differences, np.zeros(60), np.zeros(60, int), groups, rng)
    assert p == exact_p(differences[:3]) == 2 / 8
    _, p_of_one = paired_test(differences * (np.arange(60) < 1), np.zeros(60), np.zeros(60, int), groups, rng)
    assert p_of_one == 1.0


def test_paired_test_of_many_groups_agrees_with_the_normal_distribution(rng: np.random.Generator) -> None:
    ours, theirs = rng.normal(0.1, 1, 200), rng.normal(0, 1, 200)
    _, p = paired_test(ours, theirs, np.zeros(200, int), [str(i) for i in range(200)], rng)
    z = (ours - theirs).sum() / np.sqrt(np.square(ours - theirs).sum())
    assert p == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.02)


def test_paired_test_of_equal_and_of_opposite_systems() -> None:
    hits, groups = np.ones(40), [str(i) for i in range(40)]
    difference, p = paired_test(hits, hits, np.zeros(40, int), groups, np.random.default_rng(0))
    assert (difference.value, p) == (0.0, 1.0)
    difference, p = paired_test(hits, 0 * hits, np.zeros(40, int), groups, np.random.default_rng(0))
    assert difference.value == 1.0
    assert p < 0.001


@pytest.mark.slow
def test_paired_test_has_its_nominal_false_positive_rate() -> None:
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(30).astype(str), 3).tolist()
    low = sum(
        paired_test(rng.random(90) < 0.8, rng.random(90) < 0.8, np.zeros(90, int), groups, rng)[1] <= 0.05
        for _ in range(300)
    )
    assert 0.005 < low / 300 < 0.08  # the sums are discrete, so the rate is below 0.05


def test_class_mean_does_not_depend_on_the_clips_order(rng: np.random.Generator) -> None:
    hits, targets = (rng.random(60) < 0.7).astype(float), rng.integers(0, 3, 60)
    groups = [f"g{i:02}" for i in rng.integers(0, 20, 60)]
    order = rng.permutation(60)
    ours = class_mean(hits, targets, groups, np.random.default_rng(4))
    again = class_mean(hits[order], targets[order], [groups[i] for i in order], np.random.default_rng(4))
    assert (ours.value, ours.low, ours.high) == pytest.approx((again.value, again.low, again.high))


def test_clip_mean_rejects_different_lengths() -> None:
    for values, groups in (([1.0], ["a", "b"]), ([], [])):
        with pytest.raises(ValueError, match="give one of each per clip"):
            clip_mean(values, groups, np.random.default_rng(0))


def test_binomial_half_width_of_the_papers_accuracy() -> None:
    assert f"{100 * binomial_half_width(0.98, 4185):.2f}" == "0.42"
