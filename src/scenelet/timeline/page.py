"""Page of a timeline: labels over the days, a list of events, and a spectrogram and a player for each."""

import json
import os
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenelet.audio.display import ticks_hz
from scenelet.errors import escape_unprintable
from scenelet.inference.events import Event
from scenelet.model.scene_model import SceneModel
from scenelet.timeline.answer_rows import event_rows, script_values
from scenelet.timeline.charts import make_charts
from scenelet.timeline.pictures import event_pictures
from scenelet.timeline.results import RecordingEvents
from scenelet.utils.html import relative_url, render
from scenelet.utils.text import clock, duration, pluralize

PAGE, PICTURES = "timeline.html", "spectrograms.js"
MAX_EVENTS = 4000
"""Maximum number of events on the page."""
MAX_PICTURES = 200
"""Maximum number of events with a spectrogram."""

Found = tuple[int, Event]
"""Index of a recording and an event in it."""


def timeline_page(
    model: SceneModel, name: str, recordings: Sequence[RecordingEvents], page: Path
) -> tuple[str, dict[str, str]]:
    """Render the page, and compute the spectrograms that it loads when an event is opened.

    Args:
        model: the model that found the events.
        name: its name.
        recordings: the recordings, in the order of time.
        page: path of the page; links to recordings are relative to it.

    Returns:
        HTML, and the text of the other file by its name.
    """
    events = [(index, event) for index, recording in enumerate(recordings) for event in recording.events]
    drawn = sorted(spread_over_labels(events, MAX_EVENTS))
    shown = [events[i] for i in drawn]
    pictured = spread_over_labels(shown, MAX_PICTURES)
    pictures = event_pictures(model.features, {i: (recordings[shown[i][0]], shown[i][1]) for i in sorted(pictured)})
    labels = [label for label in model.labels if any(event.label == label for _, event in events)]
    charts, left_out = make_charts(recordings, [(index, event.start, event.end) for index, event in shown])
    used = sorted({index for index, _ in shown})
    folder = common_folder([recording.path for recording in recordings])
    rows = event_rows(recordings, shown, folder)
    known = [row for row in rows if row is not None]
    positions = iter(range(len(known)))
    data = {
        "labels": [_label(label, position, events) for position, label in enumerate(labels)],
        "charts": charts,
        "recordings": {
            index: {
                "name": escape_unprintable(os.path.relpath(recordings[index].path, folder)),
                "url": relative_url(recordings[index].path, page.parent),
            }
            for index in used
        },
        "events": [
            {
                "label": labels.index(event.label),
                "probability": round(event.probability, 4),
                "start": round(event.start, 3),
                "end": round(event.end, 3),
                "recording": index,
                "when": _when(recordings[index], event.start),
                "length": duration(event.end - event.start),
                "picture": number in pictures,
                "row": None if rows[number] is None else next(positions),
            }
            for number, (index, event) in enumerate(shown)
        ],
        "answers": script_values(known, model.labels, folder),
        "hertz": ticks_hz(model.features),
        "pictures": PICTURES,
    }
    html = render(
        "scenelet.timeline",
        "timeline.html.j2",
        model=name,
        data=data,
        events=len(events),
        drawn=len(shown),
        pictured=len(pictures),
        left_out=left_out,
        recorded=_recorded(recordings),
        zones=zones(recordings),
        background=model.background,
    )
    return html, {PICTURES: f"const PICTURES = {json.dumps(pictures)};\n"}


def common_folder(paths: Sequence[Path]) -> str:
    """Return the folder that all recordings are in, or the current one if they have none in common.

    >>> common_folder([Path("/sd/a/1.wav"), Path("/sd/b/2.wav")])
    '/sd'
    """
    try:
        return os.path.commonpath([path.absolute().parent for path in paths])
    except ValueError:  # on several drives
        return os.curdir


def spread_over_labels(events: Sequence[Found], count: int) -> set[int]:
    """Choose at most `count` events, the most probable of each label in turn, and return their indices.

    >>> events = [(0, Event(0, 1, label, p)) for label, p in (("dog", 0.8), ("dog", 0.9), ("dog", 0.7), ("rain", 0.6))]
    >>> sorted(spread_over_labels(events, 2))
    [1, 3]
    """
    order = sorted(range(len(events)), key=lambda i: -events[i][1].probability)
    turns: dict[str, int] = {}
    ranked = []
    for i in order:
        label = events[i][1].label
        turns[label] = turns.get(label, 0) + 1
        ranked.append((turns[label], i))
    return {i for _, i in sorted(ranked, key=lambda pair: pair[0])[:count]}


def zones(recordings: Sequence[RecordingEvents]) -> str:
    """Describe the zones of all wall-clock times in one sentence, or return an empty text if no time is known.

    >>> zones([])
    ''
    """
    starts = [recording.start for recording in recordings if recording.start is not None]
    names = sorted({f"UTC{start.isoformat()[-6:]}" if start.tzinfo else "" for start in starts})
    if not names:
        return ""
    if names == [""]:
        return "Times are those of the recorder's clock, whose zone is not known."
    known = ", ".join(name for name in names if name)
    return f"Times are in {known}." if "" not in names else f"Times are in {known}, or in a zone that is not known."


def _label(label: str, position: int, events: Sequence[Found]) -> dict[str, Any]:
    """Describe a label for the legend: its letter, the number of its events and their total length."""
    own = [event for _, event in events if event.label == label]
    letters = string.ascii_uppercase
    return {
        "name": escape_unprintable(label),
        "letter": letters[position] if position < len(letters) else str(position + 1),
        "events": len(own),
        "length": duration(sum(event.end - event.start for event in own)),
    }


def _when(recording: RecordingEvents, seconds: float) -> str:
    """Return the date and time of an event, or its time in the recording."""
    time = recording.wall_clock(seconds)
    return clock(seconds) if time is None else time.strftime("%Y-%m-%d %H:%M:%S")


def _recorded(recordings: Sequence[RecordingEvents]) -> str:
    total = duration(sum(recording.seconds for recording in recordings))
    return f"{total} in {pluralize(len(recordings), 'recording')}"
