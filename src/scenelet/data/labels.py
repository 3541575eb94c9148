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
        path, column: the table, and the name of the column.
        labels, lines: label and line of each row.

    Returns:
        A note about labels that hold a separator, or an empty string.

    Raises:
        DataError: a label stands for a missing value, or a cell holds several labels.

    >>> check_single_labels(Path("a.csv"), "label", ["rain", "dog, small"], [2, 3])
    "a.csv: 'dog, small' is taken as one class"
    """
    missing = [(label, line) for label, line in zip(labels, lines, strict=True) if label in MISSING]
    if missing:
        where = f"line{'s' * (len(missing) > 1)} {first_few(str(line) for _, line in missing)}"
        fault = f"the {column} {missing[0][0]!r} is a missing value"
        raise DataError(f"{path}, {where}: {fault}; fill it in or delete the rows")
    separator = re.compile(f"[{LIST_SEPARATORS}]")
    parts = {label: {part.strip() for part in separator.split(label)} - {""} for label in dict.fromkeys(labels)}
    joint = [label for label, found in parts.items() if len(found) > 1]
    uses = Counter(part for found in parts.values() for part in found)
    shared = [label for label in joint if any(uses[part] > 1 for part in parts[label])]
    lists = shared or [label for label in parts if LIST.search(label) or (column == "labels" and label in joint)]
    if lists:
        several = {*joint, *lists}
        count = sum(label in several for label in labels)
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
        visible = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
        alike[re.sub(r"[\s_-]+", " ", visible).strip().casefold()].append(label)
    for names in alike.values():
        if len(names) > 1:
            written = " and ".join(f"{name!r} ({pluralize(counts[name], 'clip')})" for name in names)
            raise DataError(f"{path}: the labels {written} look alike but are different classes; write them alike")
