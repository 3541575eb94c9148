"""The column `percent` of tables of clips."""

from pathlib import Path

import pytest

from scenelet.config import SplitConfig
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.errors import DataError


def _table(tmp_path: Path, *cells: tuple[str, str]) -> Path:
    """Write a table with a clip per subset and percent, of two classes in turn."""
    rows = [f"{i}.wav,{'ab'[i % 2]},{split},{percent}" for i, (split, percent) in enumerate(cells)]
    (tmp_path / "clips.csv").write_text("\n".join(["filename,label,split,percent", *rows]) + "\n")
    return tmp_path / "clips.csv"


def test_percent_column_chooses_training_clips(tmp_path: Path) -> None:
    cells = [("train", p) for p in ("5", "5.0", "25", "25", "100", "")] + [("validation", ""), ("test", "")]
    table = load_table(_table(tmp_path, *cells), require_audio=False)
    assert [clip.percent for clip in table.clips] == [5, 5, 25, 25, 100, None, None, None]
    for percent, count in ((5, 2), (25, 4), (100, 5)):
        split = make_split(table, SplitConfig(percent=percent))
        assert (len(split.train), len(split.validation), len(split.test)) == (count, 1, 1)
    assert len(make_split(table, SplitConfig()).train) == 6


def test_percent_column_of_a_table_without_split(tmp_path: Path) -> None:
    cells = [("", percent) for percent in ("5", "5", "100", "100") * 5]
    table = load_table(_table(tmp_path, *cells), require_audio=False)
    split = make_split(table, SplitConfig(percent=5, test_fraction=0.2))
    assert {clip.percent for clip in split.train} == {5}
    assert "random split, 20 % of each class in whole groups, seed 0, training list of 5 %" in split.description


@pytest.mark.parametrize(
    ("split", "percent", "words"),
    [
        ("train", "20", "line 3: percent '20' is not one of 5, 10, 25, 50, 100; correct it or leave it empty"),
        ("train", "5 %", "line 3: percent '5 %' is not one of"),
        ("test", "25", "line 3: percent 25 is for training clips, and this one is in test; empty one of the two"),
        ("validation", "5", "this one is in validation"),
    ],
)
def test_percent_column_refuses_invalid_cells(tmp_path: Path, split: str, percent: str, words: str) -> None:
    path = _table(tmp_path, ("train", "5"), (split, percent))
    with pytest.raises(DataError, match=words):
        load_table(path, require_audio=False)
