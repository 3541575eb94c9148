"""Labels: missing values, several in a cell, and labels that look alike."""

import re
from pathlib import Path

import pytest

from scenelet.data.labels import check_alike_labels, check_single_labels
from scenelet.errors import DataError

TABLE = Path("clips.csv")


def _check(*labels: str, column: str = "label") -> str:
    return check_single_labels(TABLE, column, labels, range(2, 2 + len(labels)))


@pytest.mark.parametrize("missing", ["nan", "NaN", "None", "null", "<NA>"])
def test_check_single_labels_missing_value_is_refused(missing: str) -> None:
    words = f"clips.csv, lines 3, 4: the label '{missing}' is a missing value; fill it in or delete the rows"
    with pytest.raises(DataError, match=words):
        _check("rain", missing, missing)


def test_check_single_labels_none_can_be_a_class() -> None:
    assert _check("rain", "none", "nano") == ""


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["rain", "dog,animal"], "line 3: 'dog,animal' is several labels (1 such row)"),
        (["Dog, animal", "Cat, animal", "rain"], "line 2: 'Dog, animal' is several labels (2 such rows)"),
        (["dog", "dog; small"], "line 3: 'dog; small' is several labels"),
        (["rain", "['dog']"], "line 3: \"['dog']\" is several labels"),
        (["rain|wind", "sea"], "line 2: 'rain|wind' is several labels"),
    ],
)
def test_check_single_labels_several_in_a_cell_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        _check(*labels)


def test_check_single_labels_comma_of_one_label_is_noted() -> None:
    labels = ("rain", "Dog, small", "1,000 Hz")
    assert _check(*labels) == "clips.csv: 'Dog, small', '1,000 Hz' is taken as one class"
    with pytest.raises(DataError, match="'Dog, small' is several labels"):
        _check(*labels, column="labels")


@pytest.mark.parametrize(
    "labels", [("Dog", "dog"), ("sea waves", "sea_waves"), ("sea-waves", "Sea  waves"), ("a\u200b", "a")]
)
def test_check_alike_labels_are_refused(labels: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=r"the labels .* \(1 clip\) and .* \(2 clips\) look alike"):
        check_alike_labels(TABLE, [labels[0], labels[1], sorted(labels)[1]])


def test_check_alike_labels_of_different_classes_are_fine() -> None:
    check_alike_labels(TABLE, ["1-0", "10", "1", "01", "Dog", "Dogs", "ä", "a"])
