"""Labels as text: one form of Unicode, and the faults that would make wrong classes without a word."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from scenelet.data.clips import MultiLabel
from scenelet.errors import DataError
from scenelet.utils.text import first_few, pluralize

LABEL_COLUMNS = ("label", "class", "category", "scene_label", "primary_label", "species", "labels")
"""Accepted names of the column of classes; the first one that is present is used."""
MISSING = re.compile(
    r"(?!none$)(?i:nan|nat|null|nil|none|undefined|todo|tbd|n\.?/?a\.?|<na>|#n/?[av]|#[\w/]+[!?])|[!-/:-@[-`{-~\u2013\u2014\u2026\s]+"
)
"""Texts that people and programs write for a missing value, or no letter or digit at all. "none" can be a class."""
LIST_SEPARATORS = ",;|"
LIST = re.compile(rf"\D[{LIST_SEPARATORS}]\S|^\[.*\]$|^\{{.*\}}$|^\(.*,.*\)$")
"""Labels written by programs: "dog,animal", "['dog', 'animal']". In "1,000 Hz" the comma separates no labels."""
WEAK_SEPARATORS = re.compile(r"\s*[/+&]\s*|\s+(?:and\s+)?")
"""Text between labels, if they are labels of other rows too: "dog/cat", "dog cat"."""
LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухԛԝһԁΑΒΕΖΗΙΚΜΝΟΡΤΥΧοριν",  # noqa: RUF001
    "ABESIJKMHOPCTYXaesijopcyxqwhdABEZHIKMNOPTYXopiv",
)
"""Cyrillic and Greek letters that look like Latin ones."""
COPY = re.compile(
    r"\s*\(\d+\)$|[\s._-]+(copy|copie|copia|kopie|bak|backup)\b.*$|^(copy|copie|copia|kopie)\s(of|de|von)\s"
)
"""Additions to the name of a copy by file managers and people, in lower case."""


WAY_OUT = "give --multi-label skip to leave them out, or --multi-label first to take the first label"


def normalize(text: str) -> str:
    """Return a text in Unicode form NFC without outer blanks. macOS writes file names in another form.

    >>> normalize(" Ka\\u0308uzchen") == "Käuzchen"
    True
    """
    return unicodedata.normalize("NFC", text).strip()


def single_labels(
    path: Path, column: str, labels: Sequence[str], lines: Sequence[int], multi_label: MultiLabel = "refuse"
) -> tuple[list[str | None], str]:
    """Return the one label of each cell of a table's column, or None for a cell to leave out.

    A comma can belong to a label. It separates labels if no blank follows it, if the column's name is a plural, or if a
    part of one label is also another label or a part of another.

    Args:
        path, column: the table, and the name of the column.
        labels, lines: label and line of each row.
        multi_label: what to do with cells of several labels.

    Returns:
        The labels, and a note about cells of several labels or labels that hold a separator, or an empty string.

    Raises:
        DataError: a label stands for a missing value, or a cell holds several labels and these are to be refused.

    >>> single_labels(Path("a.csv"), "label", ["rain", "dog, small"], [2, 3])
    (['rain', 'dog, small'], "a.csv: 'dog, small' is taken as one class")
    >>> single_labels(Path("a.csv"), "label", ["rain", "Bark,Dog"], [2, 3], "first")
    (['rain', 'Bark'], 'a.csv: 1 row holds several labels; its first label is taken')
    """
    _check_present(path, column, labels, lines)
    separator = re.compile(f"[{LIST_SEPARATORS}]")
    parts = {label: {part.strip() for part in separator.split(label)} - {""} for label in dict.fromkeys(labels)}
    joint = [label for label, found in parts.items() if len(found) > 1]
    uses = Counter(part for found in parts.values() for part in found)
    shared = [label for label in joint if any(uses[part] > 1 for part in parts[label])]
    lists = shared or [label for label in parts if LIST.search(label) or (column == "labels" and label in joint)]
    composed = [label for label in parts if len(found := {*WEAK_SEPARATORS.split(label)}) > 1 and found <= parts.keys()]
    lists += [label for label in composed if not set(label).isdisjoint("/+&")]
    if not lists:
        noted = [*joint, *composed, *(label for label in parts if label == "none")]
        note = f"{path.name}: {first_few(map(repr, noted))} is taken as one class" if noted else ""
        return list(labels), note
    several = {*joint, *lists}
    count = sum(label in several for label in labels)
    if multi_label == "refuse":
        raise DataError(
            f"{path}, line {lines[labels.index(lists[0])]}: {lists[0]!r} is several labels"
            f" ({pluralize(count, 'such row')}); a clip has one class: keep one label per row, or {WAY_OUT}"
        )
    start = f"{path.name}: {pluralize(count, 'row')} {'holds' if count == 1 else 'hold'} several labels"
    if multi_label == "skip":
        return [None if label in several else label for label in labels], f"{start} and {_are(count)} left out"
    firsts = [_first(label) if label in several else label for label in labels]
    _check_present(path, column, firsts, lines)
    return list(firsts), f"{start}; {'its' if count == 1 else 'their'} first label is taken"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _first(label: str) -> str:
    """Return the first of several labels in one cell."""
    inner = label.strip("[](){} ")
    parts = re.split(f"[{LIST_SEPARATORS}]", inner)
    names = (part.strip(" '\"") for part in (parts if len(parts) > 1 else WEAK_SEPARATORS.split(inner)))
    return next(filter(None, names), "")


def _check_present(path: Path, column: str, labels: Sequence[str], lines: Sequence[int]) -> None:
    """Refuse labels that stand for a missing value."""
    missing = [
        (label, line) for label, line in zip(labels, lines, strict=True) if MISSING.fullmatch(label) or not label
    ]
    if missing:
        where = f"line{'s' * (len(missing) > 1)} {first_few(str(line) for _, line in missing)}"
        fault = f"the {column} {missing[0][0]!r} is a missing value"
        raise DataError(f"{path}, {where}: {fault}; fill it in or delete the rows")


def _plain_form(label: str) -> str:
    """Return what people take for the same label: no case, marks around it, invisible characters or leading zeros."""
    shown = unicodedata.normalize("NFKC", label).translate(LOOKALIKES).replace("’", "'").replace("‘", "'")  # noqa: RUF001
    letters = [(unicodedata.category(letter), letter) for letter in shown if not "\ufe00" <= letter <= "\ufe0f"]
    visible = "".join("-" if kind == "Pd" else letter for kind, letter in letters if kind not in ("Cf", "Cc"))
    words = re.sub(r"[\s_-]+", " ", visible).strip(" \"'`“”„«».,;:?!").casefold()
    return re.sub(r"^(\d+)\.0+$", r"\1", re.sub(r"(?<![\d.])0+(?=\d)", "", words)) or label


def check_alike_labels(path: Path, labels: Sequence[str]) -> None:
    """Refuse labels that differ only in what people overlook: case, blanks, hyphens, marks, zeros, or "(1)" of a copy.

    A listener cannot tell such classes apart, so training them would only lower the accuracy.

    Raises:
        DataError: there are such labels.
    """
    counts = Counter(labels)
    alike = defaultdict(list)
    forms = {label: _plain_form(label) for label in sorted(counts)}
    for label, form in forms.items():
        original = COPY.sub("", label.lower())
        alike[original if original in forms.values() else form].append(label)
    for names in alike.values():
        if len(names) > 1:
            show = ascii if any(name != name.translate(LOOKALIKES) for name in names) else repr
            written = " and ".join(f"{show(name)} ({pluralize(counts[name], 'clip')})" for name in names)
            raise DataError(f"{path}: the labels {written} look alike but are different classes; write them alike")
