"""Splits: no group in two subsets, fractions as close as groups allow, the same in any order of the clips."""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.config import SplitConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.load import load_table
from scenelet.data.splits import Split, make_split, split_csv_hash, split_hash, split_table
from scenelet.errors import DataError


def _table(rows: list[tuple[str, str]], folds: list[str] | None = None, splits: list[str] | None = None) -> ClipTable:
    """Clips from (label, group) with optional folds and splits; "" is None."""
    clips = tuple(
        Clip(
            Path(f"{i:04d}.wav"),
            f"{i:04d}.wav",
            label,
            group,
            (folds[i] or None) if folds else None,
            (splits[i] or None) if splits else None,
        )
        for i, (label, group) in enumerate(rows)
    )
    return ClipTable(Path("data"), "CSV clips.csv", clips)


def _own_groups(**counts: int) -> ClipTable:
    return _table([(label, f"{label}{i}") for label, count in counts.items() for i in range(count)])


def _names(clips: tuple[Clip, ...]) -> list[str]:
    return [clip.name for clip in clips]


def _no_shared_groups(split: Split) -> bool:
    groups = [{clip.group for clip in subset} for subset in (split.train, split.validation, split.test)]
    return all(one.isdisjoint(other) for one, other in combinations(groups, 2))


class TestMakeSplitByFold:
    TABLE = _table([(label, f"{label}{i}") for i in range(6) for label in "ab"], [*"112233112233"])

    def test_one_fold_is_held_out(self) -> None:
        split = make_split(self.TABLE, SplitConfig(fold="2"))
        assert {clip.fold for clip in split.test} == {"2"}
        assert {clip.fold for clip in split.train} == {"1", "3"}
        assert split.description == "fold 2 held out: train 8, validation 0, test 4 clips"

    def test_several_folds_are_held_out_together(self) -> None:
        split = make_split(self.TABLE, SplitConfig(fold="3+1"))
        assert {clip.fold for clip in split.test} == {"1", "3"}
        assert {clip.fold for clip in split.train} == {"2"}
        assert split.description == "folds 1 and 3 held out: train 4, validation 0, test 8 clips"
        with pytest.raises(DataError, match="data: no fold '7'; there are 1 2 3"):
            make_split(self.TABLE, SplitConfig(fold="1+7"))
        with pytest.raises(DataError, match="class 'a' has no training clip"):
            make_split(self.TABLE, SplitConfig(fold="1+2+3"))

    def test_fold_name_may_contain_a_plus(self) -> None:
        table = _table([(label, f"{label}{i}") for i in range(4) for label in "ab"], [*["a+b"] * 4, *["c"] * 4])
        assert {clip.fold for clip in make_split(table, SplitConfig(fold="a+b")).test} == {"a+b"}

    def test_clips_without_a_fold_are_left_out(self) -> None:
        table = _table([("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("b", "5")], ["1", "1", "2", "2", ""])
        assert make_split(table, SplitConfig(fold="1")).description.endswith("test 2 clips, 1 left out")

    def test_unknown_fold_is_refused(self) -> None:
        with pytest.raises(DataError, match="data: no fold '7'; there are 1 2 3"):
            make_split(self.TABLE, SplitConfig(fold="7"))

    def test_table_without_folds_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"CSV clips.csv has no folds, so fold '1' cannot be held out"):
            make_split(_own_groups(a=3, b=3), SplitConfig(fold="1"))

    def test_table_with_one_fold_is_refused(self) -> None:
        with pytest.raises(DataError, match="every clip is in fold 1, so holding it out leaves nothing to train on"):
            make_split(_table([("a", "1"), ("b", "2")], ["1", "1"]), SplitConfig(fold="1"))

    def test_class_in_one_fold_only_is_refused(self) -> None:
        table = _table([("a", "1"), ("b", "2"), ("a", "3")], ["1", "1", "2"])
        with pytest.raises(DataError, match=r"class 'b' has no training clip \(fold 1 held out\)"):
            make_split(table, SplitConfig(fold="1"))


class TestMakeSplitOfTheData:
    ROWS: list[tuple[str, str]] = [(label, f"{label}{i}") for i in range(4) for label in "ab"]  # noqa: RUF012

    def test_split_is_used_unchanged(self) -> None:
        splits = ["train"] * 4 + ["validation", "test", "test", ""]
        split = make_split(_table(self.ROWS, splits=splits), SplitConfig(validation_fraction=0.5))
        assert _names(split.train) == ["0000.wav", "0001.wav", "0002.wav", "0003.wav"]
        assert _names(split.validation) == ["0004.wav"]
        assert _names(split.test) == ["0005.wav", "0006.wav"]
        assert split.description == "the data's own split: train 4, validation 1, test 2 clips, 1 left out"

    def test_split_may_share_groups(self) -> None:
        table = _table([("a", "g"), ("b", "g"), ("a", "g"), ("b", "g")], splits=["train", "train", "test", "test"])
        assert len(make_split(table, SplitConfig()).test) == 2

    def test_split_may_have_no_test_clips(self) -> None:
        split = make_split(_table(self.ROWS, splits=["train"] * 6 + ["validation"] * 2), SplitConfig())
        assert (len(split.train), len(split.validation), len(split.test)) == (6, 2, 0)

    def test_validation_clips_are_used_with_a_fold(self) -> None:
        table = _table(self.ROWS, [*"11223344"], ["train"] * 2 + ["validation"] * 2 + ["train"] * 4)
        split = make_split(table, SplitConfig(fold="4", validation_fraction=0.5))
        assert _names(split.validation) == ["0002.wav", "0003.wav"]
        assert _names(split.test) == ["0006.wav", "0007.wav"]
        assert len(split.train) == 4

    def test_class_without_training_clips_is_refused(self) -> None:
        table = _table([("a", "1"), ("b", "2"), ("a", "3")], splits=["train", "test", "test"])
        with pytest.raises(DataError, match=r"class 'b' has no training clip \(the data's own split\)"):
            make_split(table, SplitConfig())


class TestMakeSplitAtRandom:
    def test_fractions_hold_for_each_class(self) -> None:
        split = make_split(_own_groups(a=100, b=50), SplitConfig(test_fraction=0.2, validation_fraction=0.25))
        assert Counter(clip.label for clip in split.test) == {"a": 20, "b": 10}
        assert Counter(clip.label for clip in split.validation) == {"a": 20, "b": 10}
        assert Counter(clip.label for clip in split.train) == {"a": 60, "b": 30}
        assert "random split, 20 % of each class" in split.description
        assert "validation 25 % of training" in split.description

    def test_class_with_few_groups_has_a_test_clip(self) -> None:
        split = make_split(_own_groups(a=2, b=100), SplitConfig(test_fraction=0.05))
        assert Counter(clip.label for clip in split.test) == {"a": 1, "b": 5}

    @pytest.mark.parametrize("seed", range(6))
    def test_group_of_two_classes_counts_for_both(self, seed: int) -> None:
        """Class b chooses one of its two groups, and one of these holds all wanted clips of class a."""
        rows = [("b", "both"), ("b", "other")] + [("a", "both")] * 10 + [("a", f"a{i}") for i in range(40)]
        split = make_split(_table(rows), SplitConfig(test_fraction=0.2, seed=seed))
        assert Counter(clip.label for clip in split.test) == {"a": 10, "b": 1}

    def test_only_the_seed_changes_the_split(self) -> None:
        table = _own_groups(a=40, b=40)
        backwards = ClipTable(table.root, table.source, table.clips[::-1])
        settings = SplitConfig(validation_fraction=0.2, seed=4)
        assert make_split(backwards, settings) == make_split(table, settings)
        other = make_split(table, SplitConfig(validation_fraction=0.2, seed=5))
        assert other.test != make_split(table, settings).test
        assert other.validation != make_split(table, settings).validation

    def test_global_random_state_is_unchanged(self) -> None:
        before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
        make_split(_own_groups(a=9, b=9), SplitConfig())
        assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([("a", "1")], "class 'a' has only one clip"),
            ([("a", "1"), ("a", "1")], r"class 'a' has only clips of one group \('1'\)"),
        ],
    )
    def test_class_that_cannot_be_divided_is_refused(self, rows: list[tuple[str, str]], words: str) -> None:
        with pytest.raises(DataError, match=words):
            make_split(_table([*rows, ("b", "2"), ("b", "3")]), SplitConfig())

    def test_too_small_validation_fraction_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"validation_fraction of 0.01 leaves no clip for validation"):
            make_split(_own_groups(a=10, b=10), SplitConfig(validation_fraction=0.01))

    def test_large_test_fraction_leaves_a_training_clip(self) -> None:
        split = make_split(_own_groups(a=3, b=3), SplitConfig(test_fraction=0.99))
        assert Counter(clip.label for clip in split.train) == {"a": 1, "b": 1}

    def test_esc10_groups_are_not_divided(self, esc10: Path) -> None:
        split = make_split(load_table(esc10), SplitConfig(fold="1", validation_fraction=0.1))
        assert _no_shared_groups(split)
        assert Counter(clip.label for clip in split.validation) == dict.fromkeys(load_table(esc10).labels, 3)

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=2, max_size=60),
        st.floats(0.05, 0.9),
        st.floats(0, 0.8),
        st.integers(0, 3),
    )
    def test_random_tables_keep_groups_whole(
        self, rows: list[tuple[str, int]], test: float, validation: float, seed: int
    ) -> None:
        """Groups may have several classes here. Tables that cannot be divided are refused."""
        table = _table([(label, str(group)) for label, group in rows])
        settings = SplitConfig(test_fraction=test, validation_fraction=validation, seed=seed)
        try:
            split = make_split(table, settings)
        except DataError:
            return
        assert _no_shared_groups(split)
        assert {clip.label for clip in split.train} == set(table.labels)
        assert split.test
        clips = split.train + split.validation + split.test
        assert sorted(_names(clips)) == _names(table.clips)


def cities_table() -> ClipTable:
    clips = [
        Clip(Path(f"{city}{i}"), f"{city}{i}", "ab"[i % 2], f"{city}-{i // 2}", "1", split, city)
        for city in ("milan", "oslo", "rome")
        for i, split in enumerate(["train", "train", "test", "test", None, None])
    ]
    clips.append(Clip(Path("x"), "x", "a", "x", "1", "train", None))
    return ClipTable(Path("data"), "CSV", tuple(clips))


def test_make_split_holds_a_city_out() -> None:
    split = make_split(cities_table(), SplitConfig(city="oslo"))
    assert {clip.city for clip in split.test} == {"oslo"}
    assert len(split.test) == 6  # including those in no split
    assert {clip.city for clip in split.train} == {"milan", "rome"}
    assert len(split.train) == 12
    assert "city oslo held out" in split.description
    assert "1 left out" in split.description
    with pytest.raises(DataError, match="no city 'osla'; there are milan oslo rome; did you mean 'oslo'"):
        make_split(cities_table(), SplitConfig(city="osla"))
    with pytest.raises(ValueError, match="a fold or a city, not both"):
        SplitConfig(city="oslo", fold="1")


def balanced_table() -> ClipTable:
    clips = [
        Clip(Path(f"{label}{i}"), f"{label}{i}", label, f"{label}{i // 2}", str(i % 5 // 4 + 1))
        for label in "abcde"
        for i in range(100)
    ]
    return ClipTable(Path("data"), "CSV", tuple(clips))


def test_make_split_subsamples_only_training_clips() -> None:
    balanced = make_split(balanced_table(), SplitConfig(fold="2"))
    split = make_split(balanced_table(), SplitConfig(fold="2", imbalance=10))
    assert split.test == balanced.test
    counts = [sum(clip.label == label for clip in split.train) for label in "abcde"]
    wanted = [80 * 10 ** (-k / 4) for k in range(5)]
    assert counts[0] == 80
    assert all(abs(count - target) <= 1 for count, target in zip(counts, wanted, strict=True))
    assert set(split.train) < set(balanced.train)
    assert "subsampled to an imbalance of 10 to 1" in split.description
    assert make_split(balanced_table(), SplitConfig(fold="2", imbalance=10)) == split
    other = make_split(balanced_table(), SplitConfig(fold="2", imbalance=10, seed=1))
    assert other.train != split.train
    groups = {clip.group for clip in split.train}
    assert all(clip in split.train for clip in balanced.train if clip.group in groups)  # whole groups
    steepest = make_split(balanced_table(), SplitConfig(fold="2", imbalance=1000))
    assert min(sum(clip.label == label for clip in steepest.train) for label in "abcde") >= 1


def test_split_hash_depends_on_clips_and_subsets() -> None:
    a, b = _own_groups(a=1, b=1).clips
    splits = [Split((a,), (), (b,), "first"), Split((b,), (), (a,), "first"), Split((a, b), (), (), "first")]
    assert len({split_hash(split) for split in splits}) == 3
    assert split_hash(Split((a,), (), (b,), "another description")) == split_hash(splits[0])


def test_split_csv_hash_of_a_table_is_the_split_hash() -> None:
    a, b = _own_groups(a=1, b=1).clips
    split = Split((a,), (), (b,), "")
    assert split_csv_hash(split_table(split).encode()) == split_hash(split)
    assert split_table(split) == "filename,label,group,split\n0000.wav,a,a0,train\n0001.wav,b,b0,test\n"


def test_device_keeps_its_clips_in_their_subsets(device_set: Path) -> None:
    table = load_table(device_set)
    general, own = make_split(table, SplitConfig()), make_split(table, SplitConfig(device="s1"))
    for subset in ("train", "validation", "test"):
        clips = [clip for clip in getattr(general, subset) if clip.device == "s1"]
        assert list(getattr(own, subset)) == clips
    assert "device s1 only" in own.description
    drawn = [make_split(replace(table, clips=without_split(table)), SplitConfig(device=d)) for d in (None, "s1")]
    assert {clip.name for clip in drawn[1].test} <= {clip.name for clip in drawn[0].test}


def without_split(table: ClipTable) -> tuple[Clip, ...]:
    return tuple(replace(clip, split=None) for clip in table.clips)


def test_device_without_clips_raises(device_set: Path) -> None:
    table = load_table(device_set)
    with pytest.raises(DataError, match=r"no device 's2'; there are a s1 s4"):
        make_split(table, SplitConfig(device="s2"))
    with pytest.raises(DataError, match=r"class 'low' has no training clip \(.*device s4 only\)"):
        make_split(table, SplitConfig(device="s4"))
    with pytest.raises(DataError, match="names no devices"):
        make_split(_own_groups(rain=2, sea=2), SplitConfig(device="a"))
