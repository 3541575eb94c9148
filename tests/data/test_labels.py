"""Labels: missing values, several in a cell, and labels that look alike."""

import re
from pathlib import Path

import pytest

from scenelet.data.labels import check_alike_labels, single_labels
from scenelet.errors import DataError

TABLE = Path("clips.csv")


def _check(*labels: str, column: str = "label") -> str:
    kept, note = single_labels(TABLE, column, labels, range(2, 2 + len(labels)))
    assert kept == list(labels)
    return note


@pytest.mark.parametrize(
    "missing",
    [
        *("nan", "NaN", "Nan", "None", "NONE", "null", "<NA>", "n/a", "N.A.", "na", "NaT", "-", "--", "—", "?", "..."),
        *("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "undefined"),
    ],
)
def test_single_labels_missing_value_is_refused(missing: str) -> None:
    words = f"clips.csv, lines 3, 4: the label '{missing}' is a missing value; fill it in or delete the rows"
    with pytest.raises(DataError, match=re.escape(words)):
        _check("rain", missing, missing)


def test_single_labels_none_can_be_a_class() -> None:
    assert _check("rain", "nano", "C#", "24/7") == ""
    assert _check("rain", "none") == "clips.csv: 'none' is taken as one class"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["rain", "dog,animal"], "line 3: 'dog,animal' is several labels (1 such row)"),
        (["Dog, animal", "Cat, animal", "rain"], "line 2: 'Dog, animal' is several labels (2 such rows)"),
        (["dog", "dog; small"], "line 3: 'dog; small' is several labels"),
        (["rain", "['dog']"], "line 3: \"['dog']\" is several labels"),
        (["rain", "{dog, cat}"], "line 3: '{dog, cat}' is several labels"),
        (["rain", '{"choices":["dog"]}'], "is several labels"),
        (["dog", "cat", "dog/cat"], "line 4: 'dog/cat' is several labels"),
        (["dog", "cat", "cat + dog"], "line 4: 'cat + dog' is several labels"),
        (["rain|wind", "sea"], "line 2: 'rain|wind' is several labels"),
    ],
)
def test_single_labels_several_in_a_cell_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        _check(*labels)


def test_single_labels_composed_of_other_labels_is_noted() -> None:
    assert _check("sea", "lion", "sea lion", "AC/DC") == "clips.csv: 'sea lion' is taken as one class"


def test_single_labels_comma_of_one_label_is_noted() -> None:
    labels = ("rain", "Dog, small", "1,000 Hz")
    assert _check(*labels) == "clips.csv: 'Dog, small', '1,000 Hz' is taken as one class"
    with pytest.raises(DataError, match="'Dog, small' is several labels"):
        _check(*labels, column="labels")


@pytest.mark.parametrize(
    "labels",
    [
        *(("Dog", "dog"), ("sea waves", "sea_waves"), ("sea-waves", "Sea  waves"), ("a\u200b", "a")),
        *(("0", "0.0"), ("1", "01"), ("dog 1", "dog 01"), ("dog", "'dog'"), ("dog", '"dog"'), ("dog", "dog;")),
        *(("dog", "dog."), ("dog's", "dog\u2019s"), ("a-b", "a\u2013b"), ("dog", "dog\x07"), ("dog", "d\u043eg")),
        *(("dog", "dog (1)"), ("dog", "dog - Copy"), ("dog", "dog - Copy (2)"), ("dog", "Kopie von Dog")),
        *(("dog", "dog_copy"), ("dog", "dog.bak"), ("dog", "Copy of dog")),
    ],
)
def test_check_alike_labels_are_refused(labels: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=r"the labels .* \(1 clip\) and .* \(2 clips\) look alike"):
        check_alike_labels(TABLE, [labels[0], labels[1], sorted(labels)[1]])


def test_check_alike_labels_of_different_classes_are_fine() -> None:
    check_alike_labels(TABLE, ["1-0", "10", "1", "1.5", "100", "Dog", "Dogs", "ä", "a"])
    check_alike_labels(TABLE, ["scene (1)", "scene (2)", "copycat", "cat", "дом"])


def test_check_alike_labels_shows_letters_of_other_scripts() -> None:
    with pytest.raises(DataError, match=r"'dog' \(1 clip\) and 'd\\u043eg' \(1 clip\) look alike"):
        check_alike_labels(TABLE, ["dog", "d\u043eg"])
