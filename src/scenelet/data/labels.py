"""Labels as text: one form of Unicode, and the faults that would make wrong classes without a word."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from scenelet.errors import DataError
from scenelet.utils.text import first_few, pluralize

LABEL_COLUMNS = ("label", "class", "category", "scene_label", "primary_label", "species", "labels")
"""Accepted names of the column of classes; the first one that is present is used."""
MISSING = ("nan", "NaN", "NAN", "None", "null", "NULL", "NA", "N/A", "#N/A", "<NA>")
"""Texts that programs write for a missing value. "none" can be a class."""
LIST_SEPARATORS = ",;|"
LIST = re.compile(rf"\D[{LIST_SEPARATORS}]\S|^\[.*\]$")
"""Labels written by programs: "dog,animal", "['dog', 'animal']". In "1,000 Hz" the comma separates no labels."""


def normalize(text: str) -> str:
    """Return a text in Unicode form NFC without outer blanks. macOS writes file names in another form.

    >>> normalize(" Ka\\u0308uzchen") == "Käuzchen"
    True
    """
    return unicodedata.normalize("NFC", text).strip()


def check_single_labels(path: Path, column: str, labels: Sequence[str], lines: Sequence[int]) -> str:
    """Check that each cell of a table's column holds one label.

    A comma can belong to a label. It separates labels if no blank follows it, if the column's name is a plural, or if a
    part of one label is also another label or a part of another.

    Args:
        path: the table.
        column: name of the column.
        labels: the label of each row.
        lines: the line of each row.

    Returns:
        A note about labels that hold a separator, or an empty string.

    Raises:
        DataError: a label stands for a missing value, or a cell holds several labels.

    >>> check_single_labels(Path("a.csv"), "label", ["rain", "dog, small"], [2, 3])
    "a.csv: 'dog, small' is taken as one class"
    """
    missing = [line for label, line in zip(labels, lines, strict=True) if label in MISSING]
    if missing:
        text = labels[lines.index(missing[0])]
        where = f"line{'s' * (len(missing) > 1)} {first_few(map(str, missing))}"
        raise DataError(f"{path}, {where}: the {column} {text!r} is a missing value; fill it in or delete the rows")
    parts = {label: _split_list(label) for label in dict.fromkeys(labels)}
    joint = [label for label, found in parts.items() if len(found) > 1]
    uses = Counter(part for found in parts.values() for part in found)
    shared = [label for label in joint if any(uses[part] > 1 for part in parts[label])]
    lists = shared or [label for label in parts if LIST.search(label) or (column == "labels" and label in joint)]
    if lists:
        count = sum(label in {*joint, *lists} for label in labels)
        raise DataError(
            f"{path}, line {lines[labels.index(lists[0])]}: {lists[0]!r} is several labels"
            f" ({pluralize(count, 'such row')}); a clip has one class: keep one label per row"
        )
    return f"{path.name}: {first_few(map(repr, joint))} is taken as one class" if joint else ""


def check_alike_labels(path: Path, labels: Sequence[str]) -> None:
    """Refuse labels that differ only in case, blanks, underscores or hyphens.

    Nobody can tell such classes apart, so training them would only lower the accuracy.

    Raises:
        DataError: there are such labels.
    """
    counts = Counter(labels)
    alike = defaultdict(list)
    for label in sorted(counts):
        alike[_key(label)].append(label)
    for names in alike.values():
        if len(names) > 1:
            written = " and ".join(f"{name!r} ({pluralize(counts[name], 'clip')})" for name in names)
            raise DataError(f"{path}: the labels {written} look alike but are different classes; write them alike")


def _split_list(label: str) -> set[str]:
    return {part.strip() for part in re.split(f"[{LIST_SEPARATORS}]", label)} - {""}


def _key(label: str) -> str:
    """Return a text that is equal for labels that look alike."""
    visible = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
    return re.sub(r"[\s_-]+", " ", visible).strip().casefold()
