"""Cities in evaluation: which were heard in training, and the clips that the official split leaves out."""

from pathlib import Path

import pytest

from scenelet.config import SplitConfig
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.data.tau import UNSEEN_CITY
from scenelet.errors import UsageError
from scenelet.evaluation.evaluate import _left_out


def test_milan_has_410_official_segments_and_1440_with_the_unused(tau: Path) -> None:
    table = load_table(tau / "TAU-urban-acoustic-scenes-2020-3class-development", require_audio=False)
    split = make_split(table, SplitConfig())
    heard = sorted({clip.city for clip in split.train if clip.city})
    assert len(heard) == 9
    assert UNSEEN_CITY not in heard
    unseen = [clip for clip in split.test if clip.city not in heard]
    assert {clip.city for clip in unseen} == {UNSEEN_CITY}
    assert len(unseen) == 410
    unused = _left_out(table, "test", heard)
    assert {clip.city for clip in unused} == {UNSEEN_CITY}
    assert len(unseen) + len(unused) == 1440


def test_leaving_one_city_out_uses_every_other_clip(tau: Path) -> None:
    table = load_table(tau / "TAU-urban-acoustic-scenes-2019-development", require_audio=False)
    split = make_split(table, SplitConfig(city=UNSEEN_CITY))
    assert len(split.test) == 1440
    assert len(split.train) == 14_400 - 1440
    assert not {clip.group for clip in split.train} & {clip.group for clip in split.test}


def test_unused_says_why_there_is_nothing_to_add(tone_set: Path) -> None:
    table = load_table(tone_set)
    for measured, heard, words in (
        ("test", ["oslo"], "leaves out no clip"),
        ("test", [], "does not say in which cities"),
        ("all", ["oslo"], "every clip is measured already"),
    ):
        with pytest.raises(UsageError, match=words):
            _left_out(table, measured, heard)
