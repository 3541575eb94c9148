"""Selection of the clips to evaluate: the official split's cities, and the clips that it leaves out."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.tau_roots import mobile_splits, nested_lists, write_tau_root
from scenelet.config import SplitConfig
from scenelet.data.load import load_table
from scenelet.data.splits import make_split, split_hash
from scenelet.errors import UsageError
from scenelet.evaluation.subset import select_subset, select_unused

UNSEEN_CITY = "milan"


def test_select_unused_finds_all_other_clips_of_milan(tau: Path) -> None:
    table = load_table(tau / "TAU-urban-acoustic-scenes-2020-3class-development", require_audio=False)
    split = make_split(table, SplitConfig())
    training_cities = sorted({clip.city for clip in split.train if clip.city})
    assert len(training_cities) == 9
    assert UNSEEN_CITY not in training_cities
    unseen = [clip for clip in split.test if clip.city not in training_cities]
    assert {clip.city for clip in unseen} == {UNSEEN_CITY}
    assert len(unseen) == 410
    unused = select_unused(table, "test", training_cities)
    assert {clip.city for clip in unused} == {UNSEEN_CITY}
    assert len(unseen) + len(unused) == 1440


def test_make_split_by_city_uses_every_other_clip(tau: Path) -> None:
    table = load_table(tau / "TAU-urban-acoustic-scenes-2019-development", require_audio=False)
    split = make_split(table, SplitConfig(city=UNSEEN_CITY))
    assert len(split.test) == 1440
    assert len(split.train) == 14_400 - 1440
    assert not {clip.group for clip in split.train} & {clip.group for clip in split.test}


@pytest.mark.parametrize(
    ("measured", "training_cities", "words"),
    [
        ("test", ["oslo"], "has no unused clip"),
        ("test", [], "does not name the cities"),
        ("all", ["oslo"], "measures every clip already"),
    ],
)
def test_select_unused_without_such_clips_is_an_error(
    tone_set: Path, measured: str, training_cities: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        select_unused(load_table(tone_set), measured, training_cities)


@pytest.mark.parametrize("has_lists", [True, False])
def test_select_subset_of_a_model_trained_on_a_list(tmp_path: Path, has_lists: bool) -> None:
    """The test clips need no training list, so that a root without the lists is measured too, with a warning."""
    splits = mobile_splits(False, ("bus", "park"))
    table = load_table(write_tau_root(tmp_path / "trained", splits, lists=nested_lists(splits)), require_audio=False)
    trained = SplitConfig(percent=25)
    provenance = {"split": trained.model_dump(), "split_hash": split_hash(make_split(table, trained))}
    if not has_lists:
        table = load_table(write_tau_root(tmp_path / "other", splits), require_audio=False)
    subset = select_subset(table, None, None, provenance)
    assert {clip.split for clip in subset.clips} == {"test"}
    assert (subset.warning is None) == ("training list of 25 %" in subset.description) == has_lists


def test_select_subset_of_a_model_of_one_device_has_the_clips_of_all(
    device_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, trained = load_table(device_set), SplitConfig(device="s1")
    provenance = {"split": trained.model_dump(), "split_hash": split_hash(make_split(table, trained))}
    subset = select_subset(table, None, None, provenance)
    assert {clip.device for clip in subset.clips} == {"a", "s1", "s4", None}
    assert {clip.split for clip in subset.clips} == {"test"}
    assert subset.warning is None
    without = replace(table, clips=tuple(clip for clip in table.clips if clip.device != "s1"))
    assert {clip.device for clip in select_subset(without, "test", None, provenance).clips} == {"a", "s4", None}
    assert "this is not the split that the model was trained with" in capsys.readouterr().err


def test_select_subset_of_a_model_of_one_device_without_a_split_of_the_data(device_set: Path) -> None:
    table = load_table(device_set)
    table = replace(table, clips=tuple(replace(clip, split=None) for clip in table.clips))
    trained = SplitConfig(device="s1")
    own = make_split(table, trained)
    provenance = {"split": trained.model_dump(), "split_hash": split_hash(own)}
    subset = select_subset(table, None, None, provenance)
    assert (subset.name, subset.warning) == ("test", None)
    assert {clip.name for clip in own.test} < {clip.name for clip in subset.clips}
    assert not {clip.group for clip in own.train} & {clip.group for clip in subset.clips}
