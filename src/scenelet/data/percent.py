"""Nested training lists: shares of the training clips, of which each larger one has all of the smaller ones."""

import re
from pathlib import Path

from scenelet.errors import DataError

PERCENTAGES = (5, 10, 25, 50, 100)
"""Shares of the training clips in the lists of DCASE 2024, in percent."""


def parse_percent(path: Path, line: int, text: str, split: str | None) -> int | None:
    """Read a cell of the column `percent`: the percentage of the smallest list that has the clip, or None if empty.

    Args:
        path, line: the table and the line in it, for errors.
        text: the cell.
        split: the clip's subset.

    Raises:
        DataError: the text is not one of `PERCENTAGES`, or the clip is not for training.

    >>> parse_percent(Path("clips.csv"), 2, "25", "train")
    25
    """
    if not text:
        return None
    number = re.sub(r"\.0$", "", text)  # pandas writes so if a cell is empty
    if number not in map(str, PERCENTAGES):
        known = ", ".join(map(str, PERCENTAGES))
        raise DataError(f"{path}, line {line}: percent {text!r} is not one of {known}; correct it or leave it empty")
    if split not in (None, "train"):
        raise DataError(
            f"{path}, line {line}: percent {number} is for training clips, and this one is in {split};"
            " empty one of the two cells"
        )
    return int(number)
