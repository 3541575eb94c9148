"""Division in whole groups, and how few groups move when some are added."""

import random
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.data.clips import Clip
from scenelet.data.group_division import closest_subset_sum, hold_out_groups
from scenelet.errors import DataError


def _clips(groups: dict[str, tuple[str, int]]) -> tuple[Clip, ...]:
    """Clips of groups, from group -> (label, size)."""
    return tuple(
        Clip(Path(f"{group}/{i}"), f"{group}/{i}", label, group)
        for group, (label, size) in sorted(groups.items())
        for i in range(size)
    )


def _own_groups(count: int) -> dict[str, tuple[str, int]]:
    return {f"{label}{i:03d}": (label, 1) for label in "abcd" for i in range(count)}


@pytest.mark.parametrize("seed", range(5))
def test_hold_out_groups_three_added_clips_move_almost_none(seed: int) -> None:
    groups = _own_groups(29)
    train, test = ({clip.group for clip in part} for part in hold_out_groups(_clips(groups), 0.2, seed))
    added = groups | {"new1": ("a", 1), "new2": ("a", 1), "new3": ("b", 1)}
    new_train, new_test = ({clip.group for clip in part} for part in hold_out_groups(_clips(added), 0.2, seed))
    assert len(test & new_test) >= len(test) - 3
    assert len(new_test & train) <= 2
    assert len(new_train) + len(new_test) == len(groups) + 3


def test_hold_out_groups_of_several_sizes_mostly_stay() -> None:
    kept, count, seeds = 0, 0, range(20)
    for seed in seeds:
        rng = random.Random(seed)
        groups = {f"{label}{i}": (label, rng.randint(3, 8)) for label in "abcd" for i in range(12)}
        _, test = hold_out_groups(_clips(groups), 0.2, seed)
        _, new_test = hold_out_groups(_clips(groups | {f"new{i}": ("a", 5) for i in range(3)}), 0.2, seed)
        kept += len({clip.group for clip in test} & {clip.group for clip in new_test})
        count += len({clip.group for clip in test})
        for label, number in Counter(clip.label for clip in _clips(groups)).items():
            assert abs(sum(clip.label == label for clip in test) - 0.2 * number) <= 4
    assert kept / count > 0.85


def test_hold_out_groups_seed_changes_the_test() -> None:
    clips = _clips(_own_groups(20))
    assert hold_out_groups(clips, 0.2, 0) == hold_out_groups(clips, 0.2, 0)
    assert hold_out_groups(clips, 0.2, 0)[1] != hold_out_groups(clips, 0.2, 1)[1]


def test_hold_out_groups_that_share_the_last_training_clips_are_refused() -> None:
    clips = [Clip(Path(name), name, label, group) for name, label, group in (("1", "a", "g"), ("2", "b", "g"))]
    clips += [Clip(Path(name), name, label, group) for name, label, group in (("3", "a", "h"), ("4", "c", "h"))]
    clips += [Clip(Path(name), name, label, group) for name, label, group in (("5", "b", "i"), ("6", "c", "i"))]
    with pytest.raises(
        DataError, match=r"has only clips in groups with the only training clips of other classes \(g, h"
    ):
        hold_out_groups(tuple(clips), 0.4, 0)


def test_hold_out_groups_with_every_class_in_each_of_two_groups() -> None:
    names = [f"{label}/{place}/{i}" for label in "abc" for place in ("home", "park") for i in "12"]
    clips = tuple(Clip(Path(name), name, name[0], name.split("/")[1]) for name in names)
    train, test = hold_out_groups(clips, 0.2, 0)
    assert {clip.label for clip in train} == {clip.label for clip in test} == set("abc")
    assert len(train) == len(test) == 6


@given(
    st.lists(st.integers(1, 12), max_size=8),
    st.floats(-5, 60),
    st.integers(0, 20),
    st.booleans(),
)
def test_closest_subset_sum_matches_exhaustive_search(
    sizes: list[int], target: float, min_sum: int, not_all: bool
) -> None:
    sums = [
        sum(chosen)
        for count in range(len(sizes) + 1 - (not_all and bool(sizes)))
        for chosen in combinations(sizes, count)
        if sum(chosen) >= min_sum
    ]
    found = closest_subset_sum(sizes, target, min_sum, not_all)
    if not sums or (best := min(sums, key=lambda total: (abs(total - target), total))) == 0:
        assert found == set()
    else:
        assert sum(sizes[i] for i in found) == best
