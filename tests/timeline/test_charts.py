"""Charts: rows of days and of recordings, their axes, and events across midnight."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.timeline.charts import DAY_SECONDS, MAX_ROWS, make_charts, split_days
from scenelet.timeline.results import RecordingEvents


def recording(seconds: float, start: datetime | None = None, name: str = "a.wav") -> RecordingEvents:
    return RecordingEvents(path=Path(name), bytes=1, modified_ns=1, seconds=seconds, sample_rate=8000, start=start)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)), st.floats(0, 400_000))
def test_split_days_covers_the_span(start: datetime, seconds: float) -> None:
    parts = list(split_days(start, seconds))
    assert sum(last - first for _, first, last in parts) == pytest.approx(seconds, abs=1e-3)
    assert all(0 <= first <= last <= DAY_SECONDS for _, first, last in parts)
    days = [datetime.fromisoformat(day) for day, _, _ in parts]
    assert days[0].date() == start.date()
    assert [day - days[0] for day in days] == [timedelta(days=k) for k in range(len(days))]


def test_event_across_midnight_is_in_two_rows() -> None:
    night = recording(7200, datetime(2024, 5, 1, 23, 0, tzinfo=UTC))
    ((chart,), rest) = make_charts([night], [(0, 3590.0, 3610.0)])
    assert rest == 0
    assert [row["title"] for row in chart["rows"]] == ["2024-05-01", "2024-05-02"]
    assert [row["bars"] for row in chart["rows"]] == [[[86390, 86400, 0]], [[0, 10, 0]]]
    assert [row["spans"] for row in chart["rows"]] == [[[82800, 86400]], [[0, 3600]]]
    assert (chart["low"], chart["high"]) == (0, 86400)
    assert chart["ticks"][0] == {"position": 0, "text": "00:00"}
    assert chart["ticks"][-1] == {"position": 1, "text": "24:00"}


def test_axis_of_days_is_what_was_recorded() -> None:
    dawns = [recording(600, datetime(2024, 5, day, 5, 31, 30)) for day in (1, 2)]
    ((chart,), _) = make_charts(dawns, [])
    assert (chart["low"], chart["high"]) == (5 * 3600 + 30 * 60, 5 * 3600 + 42 * 60)
    assert [tick["text"] for tick in chart["ticks"]] == ["05:30", "05:32", "05:34", "05:36", "05:38", "05:40", "05:42"]


def test_recordings_without_a_time_have_rows_of_their_own() -> None:
    charts, rest = make_charts([recording(60, datetime(2024, 5, 1)), recording(150, name="b\n.wav")], [(1, 3, 4)])
    assert [row["title"] for row in charts[1]["rows"]] == ["b\\n.wav"]
    assert charts[1]["rows"][0]["bars"] == [[3, 4, 0]]
    assert [tick["text"] for tick in charts[1]["ticks"]] == ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30"]
    assert rest == 0


def test_many_recordings_without_a_time_are_not_all_drawn() -> None:
    charts, rest = make_charts([recording(1)] * (MAX_ROWS + 5), [(MAX_ROWS + 1, 0, 1)])
    assert (len(charts[0]["rows"]), rest) == (MAX_ROWS, 5)
    assert make_charts([], []) == ([], 0)
