"""Segments: parts of recordings that a table labels. They are refused, since a clip is a complete recording."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenelet.audio.io import info
from scenelet.data.delimited import TableRow
from scenelet.errors import AudioError, DataError

START_COLUMNS = (
    *("start", "start_time", "start_seconds", "start_s", "start_sec", "start_(s)", "begin", "begin_time"),
    *("begin_time_(s)", "onset", "onset_s", "offset_start", "t_start", "tmin"),
)
END_COLUMNS = (
    *("end", "end_time", "end_seconds", "end_s", "end_sec", "end_(s)", "stop", "stop_time", "end_time_(s)"),
    *("offset", "offset_s", "offset_end", "t_end", "tmax"),
)
MAX_DIFFERENCE_SECONDS = 0.1
"""Maximum difference between a segment and the complete recording, for rounded times."""
ADVICE = (
    "segments are not read yet; cut each into a file of its own"
    " (for example: ffmpeg -ss START -to END -i IN.wav OUT.wav)"
)


def is_segment_list(head: Sequence[Sequence[str]]) -> bool:
    """Return True for the first lines of an Audacity label file, a Raven selection table or an AudioSet list.

    >>> is_segment_list([["0.100000", "0.500000", "dog"]]), is_segment_list([["filename", "label"]])
    (True, False)
    """
    first = head[0] if head else []
    is_raven = "Begin Time (s)" in first and "End Time (s)" in first
    is_audacity = len(first) in (2, 3) and None not in map(_seconds, first[:2])
    return " ".join(first).startswith("# Segments csv") or is_raven or is_audacity


def check_no_segments(
    path: Path, rows: Sequence[TableRow], recordings: Mapping[str, Path], names: Sequence[str]
) -> str:
    """Refuse a table whose rows label parts of recordings.

    Times that are those of the complete recordings are accepted. A note is returned if times cannot be read, else "".

    Args:
        path, rows: the table and its rows.
        recordings: path of each recording that exists, by its name in the table.
        names: the recording's name in each row.

    Raises:
        DataError: a row labels a part of its recording.
    """
    start, end = (
        next((column for column in known if column in rows[0].values), "") for known in (START_COLUMNS, END_COLUMNS)
    )
    columns = " and ".join(column for column in (start, end) if column)
    note = ""
    for row, name in zip(rows, names, strict=True):
        texts = row.values.get(start, ""), row.values.get(end, "")
        first, last = map(_seconds, texts)
        if first is None and last is None:
            if any(texts):
                note = f"{path.name}: the times in {columns} are not numbers of seconds and not used"
        elif (first or 0) > MAX_DIFFERENCE_SECONDS or not _reaches_end(last, recordings.get(name)):
            raise DataError(
                f"{path}, line {row.line}: {columns} mark a part of {name}; {ADVICE},"
                f" or delete the columns if the label holds for the complete recording"
            )
    return note


def _reaches_end(seconds: float | None, recording: Path | None) -> bool:
    """Return True if a time is not before the end of a recording, or if one of them is not known."""
    try:
        return seconds is None or recording is None or seconds >= info(recording).seconds - MAX_DIFFERENCE_SECONDS
    except AudioError:
        return True  # the audit or the training reports it


def _seconds(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        return float(text) if math.isfinite(float(text)) else None
    return None
