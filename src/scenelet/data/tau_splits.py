"""Splits of TAU roots: the official one, and the nested training lists of DCASE 2024.

The lists are `split5.csv`, `split10.csv`, `split25.csv`, `split50.csv`, `split100.csv` and `test.csv`, tab-separated
with the columns filename and scene_label. They are in the root, or in its folders `evaluation_setup` or `split_setup`.
A root may have only some of the training lists.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from scenelet.data.delimited import read_rows
from scenelet.data.percent import PERCENTAGES
from scenelet.errors import DataError
from scenelet.utils.text import first_few

LIST_FOLDERS = (".", "evaluation_setup", "split_setup")
TEST_LIST = "test.csv"


class Place(NamedTuple):
    """Place of a recording in the split.

    Attributes:
        split: "train" or "test"; None: in neither.
        percent: percentage of the smallest training list that has it; None without such lists, and for test clips.
    """

    split: str | None
    percent: int | None = None


def read_split(root: Path, labels: Mapping[str, str]) -> dict[str, Place]:
    """Return the place of each recording by its name: from the training lists if there are any, else the official one.

    Args:
        root: the folder with `meta.csv`.
        labels: `scene_label` of each recording in `meta.csv`, by its name.

    Raises:
        DataError: a list is missing or invalid, or the lists contradict each other or `meta.csv`.
    """
    folders = [folder for folder in LIST_FOLDERS if any((root / folder / _list_name(n)).is_file() for n in PERCENTAGES)]
    if not folders:
        return official_split(root)
    if len(folders) > 1:
        places = " and in ".join(str(root / folder) for folder in folders)
        raise DataError(f"{root}: training lists are in {places}; keep those of one folder")
    return _read_lists(root / folders[0], labels)


def _list_name(percent: int) -> str:
    return f"split{percent}.csv"


def _read_lists(folder: Path, labels: Mapping[str, str]) -> dict[str, Place]:
    test_path = folder / TEST_LIST
    if not test_path.is_file():
        raise DataError(f"{test_path}: no such file; the training lists need it, so put it next to them")
    paths = [folder / _list_name(percent) for percent in PERCENTAGES]
    lists = {path: _read_list(path, labels) for path in paths if path.is_file()}
    test = _read_list(test_path, labels)
    for (smaller, lines), (larger, more) in pairwise(lists.items()):
        if outside := [name for name in lines if name not in more]:
            raise DataError(
                f"{smaller}, line {lines[outside[0]]}: {first_few(outside)} {_is(outside)} not in {larger.name}, which"
                " must have all of the smaller list; take all lists from one download"
            )
    places = {name: Place("test") for name in test}
    for path, percent in reversed(list(zip(paths, PERCENTAGES, strict=True))):
        lines = lists.get(path, {})
        if shared := [name for name in lines if name in test]:
            raise DataError(
                f"{path}, line {lines[shared[0]]}: {first_few(shared)} {_is(shared)} in {TEST_LIST} too;"
                " delete the rows of one of the two files"
            )
        places |= dict.fromkeys(lines, Place("train", percent))
    return places


def _read_list(path: Path, labels: Mapping[str, str]) -> dict[str, int]:
    """Return the line of each name in a list, in the list's order."""
    lines: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for line, values in read_rows(path, ("filename",)):
        name, label = values["filename"], values.get("scene_label")
        if name in lines:
            raise DataError(f"{path}, line {line}: {name} is listed twice; delete one row")
        lines[name] = line
        if name not in labels:
            unknown[name] = line
        elif label not in (None, labels[name]):
            found = f"{name} is labelled {label!r}, and meta.csv says {labels[name]!r}"
            raise DataError(f"{path}, line {line}: {found}; correct one of the two")
    if unknown:
        raise DataError(
            f"{path}, line {next(iter(unknown.values()))}: {first_few(unknown)} {_is(unknown)} not in meta.csv; correct"
            " the names, or delete their rows if meta.csv lists only a part of the set"
        )
    return lines


def _is(names: Mapping[str, int] | list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def official_split(root: Path) -> dict[str, Place]:
    """Return the place of each recording of `fold1_train.csv` and `fold1_test.csv`."""
    places: dict[str, Place] = {}
    for split in ("train", "test"):
        path = root / "evaluation_setup" / f"fold1_{split}.csv"
        if (older := path.with_suffix(".txt")).is_file() and not path.is_file():
            raise DataError(
                f"{older}: the lists of the TUT sets from before 2019 are not read; give {root / 'meta.csv'} itself"
                " for a split at random, or write a CSV with the columns filename, label, group and split"
            )
        if not path.is_file():
            raise DataError(f"{path}: no such file; unpack the set's meta archive into {root}")
        for line, values in read_rows(path, ("filename",)):
            name = values["filename"]
            if places.setdefault(name, Place(split)).split != split:
                raise DataError(f"{path}, line {line}: {name} is in fold1_train.csv too; delete one row")
    return places
