"""Paths and labels that a caller has in memory -> a table of training clips on disk, which `load_table` reads."""

import os
from collections.abc import Sequence
from pathlib import Path

from scenelet.errors import DataError
from scenelet.utils.files import csv_text, replace_file

CLIPS = "clips.csv"


def write_clip_csv(folder: Path, paths: Sequence[Path], labels: Sequence[str], groups: Sequence[str] | None) -> Path:
    """Write `folder / CLIPS`, with every clip on the training side.

    File names are relative to the folder that all recordings share, as they are in a table that lies there. So the
    features that another training of the same recordings cached are found again.

    Args:
        folder: for the table; it exists.
        paths, labels, groups: of each clip; no groups: every clip is its own.

    Returns:
        The folder that all recordings share: the `audio_dir` that goes with the table.

    Raises:
        DataError: recordings on several drives, or a text that would not come back from the table as it is.
        OutputError: the table cannot be written.
    """
    absolute = [os.path.abspath(path) for path in paths]
    try:
        root = Path(os.path.commonpath([os.path.dirname(path) for path in absolute]))
    except ValueError:
        raise DataError(f"{absolute[0]}: not all recordings are on its drive; bring them onto one") from None
    names = [Path(path).relative_to(root).as_posix() for path in absolute]
    columns = {"filename": names, "label": labels, "split": ["train"] * len(names)}
    if groups is not None:
        columns["group"] = groups
    for column in columns:
        _require_whole(column, columns[column], unwanted="\\\r\n" if column == "filename" else "\r\n")
    replace_file(folder / CLIPS, csv_text(list(columns), zip(*columns.values(), strict=True)))
    return root


def _require_whole(column: str, texts: Sequence[str], unwanted: str) -> None:
    for text in texts:
        decoded = text.encode(errors="replace").decode() == text
        if not text or text != text.strip() or set(text) & set(unwanted) or not decoded:
            what = "empty, with blanks at an end, with a line end or a backslash, or not UTF-8"
            raise DataError(f"the {column} {text!r} cannot stand in a table ({what}); rename it")
