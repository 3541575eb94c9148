"""The subset-sum problem against an exhaustive search."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from scenelet.data.subset_sum import closest_subset_sum


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
