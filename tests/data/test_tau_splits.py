"""The training lists of DCASE 2024 in a TAU root: what they define, and each fault by its file and line."""

from collections import Counter
from pathlib import Path

import pytest

from helpers.tau_roots import PERCENTAGES, mobile_splits, nested_lists, write_tau_root
from scenelet.config import SplitConfig
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.data.tau_splits import LIST_FOLDERS, Place, read_split
from scenelet.errors import DataError

SPLITS = mobile_splits(slices=True)
LISTS = nested_lists(SPLITS)
SMALL = {
    "airport-paris-8-366-0-a": "train",
    "bus-prague-1102-40498-0-a": "train",
    "park-london-96-2689-0-a": "train",
    "airport-paris-9-402-0-a": "train",
    "park-lyon-97-2690-0-a": "test",
}
SMALL_LISTS = {5: list(SMALL)[:1], 25: list(SMALL)[:2], 100: list(SMALL)[:4]}


@pytest.mark.parametrize("folder", LIST_FOLDERS)
def test_load_tau_training_lists_give_percent_and_test(tmp_path: Path, folder: str) -> None:
    root = write_tau_root(tmp_path / "tau", SPLITS, lists=LISTS, lists_folder=folder)
    table = load_table(root, require_audio=False)
    assert table.percentages == PERCENTAGES
    assert "training lists 5 % 10 % 25 % 50 % 100 %, " not in table.describe()
    assert table.describe().endswith("split train 2,800 test 1,000 none 1,000, training lists 5 % 10 % 25 % 50 % 100 %")
    for clip in table.clips:
        stem = Path(clip.name).stem
        assert clip.split == SPLITS[stem]
        assert clip.percent == next((percent for percent, names in LISTS.items() if stem in names), None)


@pytest.mark.parametrize("percent", PERCENTAGES)
def test_make_split_trains_on_one_list(tmp_path: Path, percent: int) -> None:
    root = write_tau_root(tmp_path / "tau", SPLITS, lists=LISTS)
    table = load_table(root, require_audio=False)
    split = make_split(table, SplitConfig(percent=percent))
    assert sorted(Path(clip.name).stem for clip in split.train) == sorted(LISTS[percent])
    assert len(split.test) == 1000
    assert f"the data's own split, training list of {percent} %: train" in split.description


def test_load_tau_lists_replace_the_official_split(tmp_path: Path) -> None:
    """A root with the lists of 2025 only: 25 % and test. The other official training clips are left out."""
    root = write_tau_root(tmp_path / "tau", SPLITS, lists={25: LISTS[25]})
    table = load_table(root, require_audio=False)
    assert Counter(clip.split for clip in table.clips) == {"train": 700, "test": 1000, None: 3100}
    assert len(make_split(table, SplitConfig()).train) == 700
    with pytest.raises(DataError, match="no training list of 50 %; there are 25: give one of them"):
        make_split(table, SplitConfig(percent=50))


def test_make_split_percent_without_lists_is_one_sentence(tmp_path: Path) -> None:
    table = load_table(write_tau_root(tmp_path / "tau", SMALL), require_audio=False)
    words = r"has no training lists, so split.percent=25 cannot be used; put split25.csv and test.csv into a TAU root"
    with pytest.raises(DataError, match=words):
        make_split(table, SplitConfig(percent=25))


def test_read_split_without_lists_is_the_official_one(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", SMALL)
    assert set(read_split(root, {}).values()) == {Place("train"), Place("test")}


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("split5.csv", "paris-8-366", "paris-9-402", r"split5.csv, line 2: .* is not in split25.csv"),
        ("split25.csv", "audio/bus-prague-1102", "audio/bus-prague-7", r"split25.csv, line 3: .* is not in meta.csv;"),
        ("split25.csv", "audio/bus", "bus", r"split25.csv, line 3: bus-prague.* is not in meta.csv; correct the names"),
        ("split25.csv", "\tbus", "\ttram", r"line 3: .* is labelled 'tram', and meta.csv says 'bus'; correct one"),
        ("split25.csv", "audio/bus-prague-1102-40498", "audio/airport-paris-8-366", r"line 3: .* is listed twice"),
        ("split100.csv", "park-london-96-2689", "park-lyon-97-2690", r"split100.csv, line 4: .* is in test.csv too;"),
        ("test.csv", "park-lyon-97-2690", "park-london-96-2689", r"split100.csv, line 4: .* is in test.csv too;"),
        ("test.csv", "\tpark", "\tbus", r"test.csv, line 2: .* is labelled 'bus', and meta.csv says 'park'"),
        ("split5.csv", "filename", "file", r"split5.csv: no column 'filename'"),
    ],
)
def test_read_split_refuses_faulty_lists(tmp_path: Path, file: str, old: str, new: str, words: str) -> None:
    root = write_tau_root(tmp_path / "tau", SMALL, lists=SMALL_LISTS)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    with pytest.raises(DataError, match=words):
        load_table(root, require_audio=False)


def test_read_split_of_a_part_names_how_many_are_unknown(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", SPLITS, lists=LISTS)
    lines = (root / "meta.csv").read_text().splitlines()
    (root / "meta.csv").write_text("\n".join(line for line in lines if "bus" not in line) + "\n")
    with pytest.raises(DataError, match=r"split5.csv, line \d+: .* more are not in meta.csv; .* only a part of"):
        load_table(root, require_audio=False)


def test_read_split_needs_the_test_list(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", SMALL, lists=SMALL_LISTS)
    (root / "test.csv").unlink()
    with pytest.raises(DataError, match=r"test.csv: no such file; the training lists need it"):
        load_table(root, require_audio=False)


def test_read_split_lists_in_two_folders_are_refused(tmp_path: Path) -> None:
    root = write_tau_root(tmp_path / "tau", SMALL, lists=SMALL_LISTS)
    (root / "split_setup").mkdir()
    (root / "split5.csv").rename(root / "split_setup" / "split5.csv")
    with pytest.raises(DataError, match=r"training lists are in .*tau and in .*split_setup; keep those of one folder"):
        load_table(root, require_audio=False)
