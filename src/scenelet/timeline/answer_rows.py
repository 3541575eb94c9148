"""Rows of the table that the page saves: the events that its user confirms or relabels, for `scenelet train`."""

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from scenelet.data.write_csv import fits_table
from scenelet.inference.events import Event
from scenelet.timeline.results import RecordingEvents

COLUMNS = ("filename", "label", "start", "end")


def event_rows(
    recordings: Sequence[RecordingEvents], events: Sequence[tuple[int, Event]], folder: str
) -> list[list[str] | None]:
    """Return the row of each event, without a label yet. None stands for a name that does not fit a table.

    Args:
        recordings: the recordings.
        events: index of a recording, and an event in it.
        folder: the folder that the rows' file names are relative to.

    >>> from pathlib import Path
    >>> recording = RecordingEvents(path=Path("sd/a.wav"), bytes=1, modified_ns=1, seconds=60, sample_rate=8000)
    >>> event_rows([recording], [(0, Event(1.5, 4, "dog", 0.9))], "sd")
    [['a.wav', '', '1.500', '4.000']]
    """
    rows: list[list[str] | None] = []
    for index, event in events:
        name = PurePath(os.path.relpath(recordings[index].path, folder)).as_posix()
        row = [name, "", f"{event.start:.3f}", f"{event.end:.3f}"]
        rows.append(row if fits_table("filename", name) else None)
    return rows


def script_values(rows: Sequence[list[str]], labels: Sequence[str], folder: str) -> dict[str, Any]:
    """Collect the arguments of `collectAnswers`, which `utils/html/templates/answers/answers.js` documents."""
    key = hashlib.sha256(json.dumps([folder, rows]).encode()).hexdigest()[:16]
    return {
        "key": f"scenelet answers {key}",
        "labels": list(labels),
        "columns": COLUMNS,
        "rows": list(rows),
        "command": f"scenelet train answers.csv --audio-dir {shlex.quote(folder)} --out RUN",
        "noun": "event",
    }
