"""Times of labels: the part of its recording that each row of a table labels, and rows that contradict each other."""

import contextlib
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scenelet.audio.io import UNKNOWN_FRAMES, info
from scenelet.audio.windows import MIN_SECONDS
from scenelet.data.clips import Clip, MultiLabel
from scenelet.data.delimited import TableRow
from scenelet.data.labels import WAY_OUT
from scenelet.errors import AudioError, DataError
from scenelet.utils.text import pluralize

START_COLUMNS = (
    *("start", "start_time", "start_seconds", "start_s", "start_sec", "start_(s)", "begin", "begin_time"),
    *("begin_time_(s)", "onset", "onset_s", "offset_start", "t_start", "tmin"),
)
END_COLUMNS = (
    *("end", "end_time", "end_seconds", "end_s", "end_sec", "end_(s)", "stop", "stop_time", "end_time_(s)"),
    *("offset", "offset_s", "offset_end", "t_end", "tmax"),
)
OTHER_TIMES = re.compile(
    r"(start|begin|onset|end|stop|offset)_?(time)?_?\(?(ms|msec|milliseconds|samples?|frames?|min|minutes)\)?"
)
"""Names of columns of times that are not in seconds."""
MAX_DIFFERENCE_SECONDS = 0.1
"""Maximum difference between a time and the start or end of the recording, for rounded times."""
MAX_OVERLAP_SECONDS = 0.05
"""Maximum overlap of neighboring labels that is taken for inaccuracy, since labels are drawn by hand."""
ROUNDING = 1e-6


class Span(NamedTuple):
    """Times of a label, in seconds from the start of its recording."""

    start: float
    end: float


COMPLETE = Span(0.0, math.inf)
"""Span of a label without times, for the comparison with others."""


def seconds_of(text: str) -> float | None:
    """Return a number of seconds, or None for other texts. A single comma is a decimal one.

    >>> seconds_of("0.5"), seconds_of("12,25"), seconds_of("06:00")
    (0.5, 12.25, None)
    """
    with contextlib.suppress(ValueError):
        value = float(text.replace(",", ".") if re.fullmatch(r"-?\d+,\d+", text) else text)
        return value if math.isfinite(value) else None
    return None


def read_spans(
    path: Path, rows: Sequence[TableRow], recordings: Mapping[str, Path], names: Sequence[str]
) -> tuple[list[Span | None], str]:
    """Read the times of each row.

    Args:
        path, rows: the table and its rows.
        recordings: path of each recording that exists, by its name in the table.
        names: the recording's name in each row.

    Returns:
        The span of each row; None for the complete recording. A note if the times are no numbers of seconds, else "".

    Raises:
        DataError: times are no numbers, in the wrong order, outside of the recording, or too close to each other.
    """
    columns = [_time_column(rows, known) for known in (START_COLUMNS, END_COLUMNS)]
    texts = [[row.values.get(column, "") for column in columns] for row in rows]
    if not any(seconds_of(text) is not None for pair in texts for text in pair):
        others = [column for column in rows[0].values if OTHER_TIMES.fullmatch(column)]
        unread = " and ".join(others or [column for column in columns if column])
        note = f"{path.name}: the times in {unread} are not numbers of seconds and not used"
        return [None] * len(rows), note if others or any(text for pair in texts for text in pair) else ""
    lengths = {name: _length(recordings.get(name)) for name in dict.fromkeys(names)}
    found = []
    for row, name, pair in zip(rows, names, texts, strict=True):
        try:
            found.append(_span(pair, lengths[name]))
        except ValueError as fault:
            raise DataError(f"{path}, line {row.line}: {name} {fault}") from None
    return found, ""


def _time_column(rows: Sequence[TableRow], known: Sequence[str]) -> str:
    """Return the first known column that holds seconds, such as `start_seconds` next to a `start_time` of the day.

    Without such a column, return the first known one, or an empty text.
    """
    present = [name for name in known if name in rows[0].values]
    numeric = (name for name in present if any(seconds_of(row.values.get(name, "")) is not None for row in rows))
    return next(numeric, next(iter(present), ""))


def _span(texts: Sequence[str], length: float | None) -> Span | None:
    """Return the span of a row, or None for the complete recording. Raises ValueError with the fault."""
    start, end = map(seconds_of, texts)
    for text, value in zip(texts, (start, end), strict=True):
        if text and value is None:
            raise ValueError(f"has the time {text!r}, which is not a number of seconds; correct it")
    if (start or 0) < -ROUNDING:
        raise ValueError(f"has the start {start:g} s; times begin at 0")
    reaches_end = end is None or (length is not None and abs(end - length) <= MAX_DIFFERENCE_SECONDS)
    if (start or 0) <= MAX_DIFFERENCE_SECONDS and reaches_end:
        return None
    if start is None or end is None:
        raise ValueError("has a start or an end only; give both, or none if the label holds for the complete recording")
    if end <= start:
        raise ValueError(f"has the end {end:g} s, which is not after the start {start:g} s; correct it, or delete it")
    if length is not None and end > length + MAX_DIFFERENCE_SECONDS:
        raise ValueError(f"has a label from {start:g} to {end:g} s, but ends at {length:.2f} s; correct the times")
    if min(end, length or end) - start < MIN_SECONDS - ROUNDING:
        raise ValueError(f"has a label of less than {MIN_SECONDS:g} s at {start:g} s; make it longer, or delete it")
    return Span(max(start, 0.0), end)


def _length(recording: Path | None) -> float | None:
    """Return the length of a recording in seconds, or None if it is not known."""
    with contextlib.suppress(AudioError):  # the audit or the training reports it
        if recording is not None and (stated := info(recording)).frames < UNKNOWN_FRAMES:
            return stated.seconds
    return None


def drop_conflicts(
    path: Path, rows: Sequence[tuple[int, Clip]], multi_label: MultiLabel = "refuse"
) -> tuple[list[Clip], str]:
    """Return the clips without those that label the same sound differently, and a note about these or an empty string.

    Args:
        path: the table.
        rows: line and clip of each row.
        multi_label: "skip" leaves out all such clips, "first" keeps the one of the first row.

    Raises:
        DataError: there are such clips and they are to be refused, or no clips are left.
    """
    conflicts = find_conflicts([clip for _, clip in rows])
    if conflicts and multi_label == "refuse":
        (first, a), (second, b) = (rows[index] for index in conflicts[0])
        count = pluralize(len({index for pair in conflicts for index in pair}), "such row")
        raise DataError(
            f"{path}, lines {first} and {second}: {a.recording_name} is {a.label!r} and {b.label!r} at the same time"
            f" ({count}); a clip has one class: correct the rows, or {WAY_OUT}"
        )
    dropped: set[int] = set()
    for first, second in conflicts:
        if multi_label == "skip":
            dropped |= {first, second}
        elif first not in dropped:
            dropped.add(second)
    if len(dropped) == len(rows):
        raise DataError(f"{path}: every row has several labels, or overlaps a row of another label; none is left")
    left_out = pluralize(len(dropped), "row")
    note = f"{path.name}: {left_out} left out, since they overlap rows of another label" if dropped else ""
    return [clip for index, (_, clip) in enumerate(rows) if index not in dropped], note


def find_conflicts(clips: Sequence[Clip]) -> list[tuple[int, int]]:
    """Find clips with different labels for the same sound: sorted pairs of indices, the lower one first.

    >>> spans = [(0, 2, "rain"), (1, 3, "dog"), (3, 4, "rain")]
    >>> find_conflicts([Clip(Path("a"), f"a@{s}-{e}", label, "a", start=s, end=e) for s, e, label in spans])
    [(0, 1)]
    """
    found = []
    of_recording: dict[Path, list[tuple[Span, int]]] = defaultdict(list)
    for index, clip in enumerate(clips):
        span = COMPLETE if clip.start is None or clip.end is None else Span(clip.start, clip.end)
        of_recording[clip.path].append((span, index))
    for rows in of_recording.values():
        open_rows: list[tuple[Span, int]] = []
        for span, index in sorted(rows):
            open_rows = [each for each in open_rows if each[0].end > span.start + MAX_OVERLAP_SECONDS]
            others = [other for _, other in open_rows if clips[other].label != clips[index].label]
            found += [(min(index, other), max(index, other)) for other in others]
            open_rows.append((span, index))
    return sorted(found)
