"""Writer of a table of training clips, which `load_table` reads."""

import os
from collections.abc import Sequence
from pathlib import Path

from scenelet.errors import DataError
from scenelet.utils.files import csv_text, replace_file

CLIPS = "clips.csv"
"""File name of the table."""


def write_clip_csv(folder: Path, paths: Sequence[Path], labels: Sequence[str], groups: Sequence[str] | None) -> Path:
    """Write `folder / CLIPS`, with every clip in the training subset.

    File names are relative to the folder that all recordings share, as in a table stored there. So the feature cache
    serves later trainings on the same recordings.

    Args:
        folder: the folder of the table, which exists.
        paths, labels, groups: path, label and group of each clip; None: every clip is its own group.

    Returns:
        The folder that all recordings share, which is the `audio_dir` of the table.

    Raises:
        DataError: the recordings are on several drives, or a text would change when it is read from the table.
        OutputError: the table cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     print(write_clip_csv(Path(folder), [Path("/data/a.wav"), Path("/data/x/b.wav")], ["rain", "sea"], None))
    ...     print((Path(folder) / CLIPS).read_text())
    /data
    filename,label,split
    a.wav,rain,train
    x/b.wav,sea,train
    <BLANKLINE>
    """
    absolute = [os.path.abspath(path) for path in paths]
    try:
        root = Path(os.path.commonpath([os.path.dirname(path) for path in absolute]))
    except ValueError:
        raise DataError(f"{absolute[0]}: not all recordings are on its drive; copy them to one drive") from None
    names = [Path(path).relative_to(root).as_posix() for path in absolute]
    columns = {"filename": names, "label": labels, "split": ["train"] * len(names)}
    if groups is not None:
        columns["group"] = groups
    for column, texts in columns.items():
        for text in texts:
            if not fits_table(column, text):
                reason = "it is empty, has outer blanks, a line end or a backslash, or is not UTF-8"
                raise DataError(f"the {column} {text!r} is not allowed in a table ({reason}); rename it")
    replace_file(folder / CLIPS, csv_text(list(columns), zip(*columns.values(), strict=True)))
    return root


def fits_table(column: str, text: str) -> bool:
    r"""Return False for a text that would change, or not be found, when it is read from a column of a table.

    >>> fits_table("filename", "a.wav"), fits_table("filename", "a\\b.wav"), fits_table("label", " rain")
    (True, False, False)
    """
    unwanted = set("\\\r\n" if column == "filename" else "\r\n")
    is_utf8 = text.encode(errors="replace").decode() == text
    return bool(text) and text == text.strip() and not set(text) & unwanted and is_utf8
