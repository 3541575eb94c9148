"""Charts of the timeline page: one row per day, or per recording if its wall-clock time is unknown."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scenelet.errors import escape_unprintable
from scenelet.timeline.results import RecordingEvents
from scenelet.utils.text import clock

DAY_SECONDS = 86_400
MAX_TICKS = 6
TICK_STEPS_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
MAX_ROWS = 100
"""Maximum number of recordings without a wall-clock time that are drawn."""


@dataclass
class Row:
    """Row of a chart; times are in seconds since the row's origin.

    Attributes:
        title: date, or name of the recording.
        spans: begin and end of what was recorded.
        bars: begin, end and index of each event.
    """

    title: str
    spans: list[tuple[float, float]] = field(default_factory=list)
    bars: list[tuple[float, float, int]] = field(default_factory=list)


def make_charts(
    recordings: Sequence[RecordingEvents], shown: Sequence[tuple[int, float, float]]
) -> tuple[list[dict[str, Any]], int]:
    """Make the chart of the days and that of the recordings without a wall-clock time.

    Args:
        recordings: the recordings, in the order of time.
        shown: the events: index of the recording, begin and end in its seconds.

    Returns:
        The charts that have rows, as values for the page's script, and the number of recordings that are not drawn.
    """
    days: dict[str, Row] = {}
    others: dict[int, Row] = {}
    rest = 0
    for index, recording in enumerate(recordings):
        if recording.start is not None:
            for day, first, last in split_days(recording.start, recording.seconds):
                days.setdefault(day, Row(day)).spans.append((first, last))
        elif len(others) < MAX_ROWS:
            others[index] = Row(escape_unprintable(recording.path.name), [(0.0, recording.seconds)])
        else:
            rest += 1
    for number, (index, start, end) in enumerate(shown):
        begin = recordings[index].wall_clock(start)
        if begin is not None:
            for day, first, last in split_days(begin, end - start):
                days.setdefault(day, Row(day)).bars.append((first, last, number))
        elif index in others:
            others[index].bars.append((start, end, number))
    charts = []
    if days:
        charts.append(_chart([days[day] for day in sorted(days)], is_day=True))
    if others:
        charts.append(_chart(list(others.values()), is_day=False))
    return charts, rest


def split_days(start: datetime, seconds: float) -> Iterator[tuple[str, float, float]]:
    """Split a time span at midnight; yield the date, and begin and end in seconds since midnight of the clock.

    >>> list(split_days(datetime(2024, 5, 1, 23, 59), seconds=90))
    [('2024-05-01', 86340.0, 86400.0), ('2024-05-02', 0.0, 30.0)]
    """
    midnight = datetime(start.year, start.month, start.day, tzinfo=start.tzinfo)
    first = (start - midnight).total_seconds()
    last = first + seconds
    while True:
        yield midnight.date().isoformat(), first, min(last, float(DAY_SECONDS))
        if last <= DAY_SECONDS:
            return
        midnight, first, last = midnight + timedelta(days=1), 0.0, last - DAY_SECONDS


def _chart(rows: Sequence[Row], is_day: bool) -> dict[str, Any]:
    """Choose the axis of the rows: all of what was recorded, from one tick to another."""
    low = min(first for row in rows for first, _ in row.spans) if is_day else 0.0
    high = max(last for row in rows for _, last in row.spans)
    step = next((step for step in TICK_STEPS_SECONDS if (high - low) / step <= MAX_TICKS), TICK_STEPS_SECONDS[-1])
    low = math.floor(low / step) * step
    if is_day:
        high = min(math.ceil(high / step) * step, DAY_SECONDS)
    length = max(high - low, 1.0)
    count = int((high - low) / step + 1e-6)
    ticks = [{"position": k * step / length, "text": _tick(low + k * step, is_day, step)} for k in range(count + 1)]
    return {
        "low": low,
        "high": low + length,
        "ticks": ticks,
        "rows": [{"title": row.title, "spans": _round(row.spans), "bars": _round(row.bars)} for row in rows],
    }


def _tick(seconds: float, is_day: bool, step: float) -> str:
    if not is_day:
        return clock(seconds)
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours:02d}:{rest // 60:02d}" + (f":{rest % 60:02d}" if step < 60 else "")


def _round(rows: Sequence[tuple[float, ...]]) -> list[list[float]]:
    return [[round(value, 1) for value in row] for row in rows]
