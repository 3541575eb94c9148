"""Events as tables: one CSV for all recordings, and labels for Audacity and Raven for each recording."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from scenelet.config import FeatureConfig
from scenelet.timeline.results import RecordingEvents
from scenelet.utils.csv_cells import safe_row
from scenelet.utils.files import csv_text

LABELS = "labels"
MAX_STEM_BYTES = 180
"""Maximum length of a label file's stem. A file name has at most 255 bytes, of which a temporary file takes more."""
COLUMNS = ("file", "start_seconds", "end_seconds", "label", "probability", "start_time", "end_time")
RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Label",
    "Confidence",
)


def segments_csv(recordings: Sequence[RecordingEvents]) -> str:
    """Return all events as CSV text, with times in seconds and, if known, wall-clock times in ISO 8601."""
    rows = [
        safe_row(
            [
                str(recording.path),
                f"{event.start:.3f}",
                f"{event.end:.3f}",
                event.label,
                f"{event.probability:.4f}",
                _iso(recording.wall_clock(event.start)),
                _iso(recording.wall_clock(event.end)),
            ]
        )
        for recording in recordings
        for event in recording.events
    ]
    return csv_text(COLUMNS, rows)


def _iso(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="milliseconds")


def label_files(recordings: Sequence[RecordingEvents], features: FeatureConfig) -> dict[str, str]:
    """Return the label files of all recordings by name: `STEM.txt` for Audacity, `STEM.selections.txt` for Raven."""
    files: dict[str, str] = {}
    for stem, recording in zip(unique_stems([r.path for r in recordings]), recordings, strict=True):
        files[f"{stem}.txt"] = audacity_labels(recording)
        files[f"{stem}.selections.txt"] = raven_table(recording, features)
    return files


def unique_stems(paths: Sequence[Path]) -> list[str]:
    """Return a stem for the label files of each recording. Those of equal names get a number.

    >>> unique_stems([Path("a/dawn.wav"), Path("b/Dawn.flac"), Path("b/dusk.wav")])
    ['dawn', 'Dawn-2', 'dusk']
    """
    taken: set[str] = set()
    stems = []
    for path in paths:
        stem, number = path.stem, 1
        if len(os.fsencode(stem)) > MAX_STEM_BYTES:
            stem = os.fsencode(stem)[:MAX_STEM_BYTES].decode(errors="ignore")
        candidate = stem
        while {candidate.casefold(), f"{candidate}.selections".casefold()} & taken:
            number += 1
            candidate = f"{stem}-{number}"
        taken |= {candidate.casefold(), f"{candidate}.selections".casefold()}
        stems.append(candidate)
    return stems


def audacity_labels(recording: RecordingEvents) -> str:
    """Return a label track: begin and end in seconds, and the label, separated by tabs.

    Source: https://manual.audacityteam.org/man/importing_and_exporting_labels.html
    """
    return "".join(f"{e.start:.6f}\t{e.end:.6f}\t{_one_line(e.label)}\n" for e in recording.events)


def raven_table(recording: RecordingEvents, features: FeatureConfig) -> str:
    """Return a selection table, separated by tabs. The frequencies are those that the model receives."""
    top = min(features.top_hz, recording.sample_rate / 2)
    lines = ["\t".join(RAVEN_COLUMNS)]
    for number, event in enumerate(recording.events, 1):
        times = f"{event.start:.6f}\t{event.end:.6f}"
        band = f"{min(features.fmin_hz, top):.1f}\t{top:.1f}"
        label = _one_line(event.label)
        lines.append(f"{number}\tSpectrogram 1\t1\t{times}\t{band}\t{label}\t{event.probability:.4f}")
    return "\n".join(lines) + "\n"


def _one_line(label: str) -> str:
    return " ".join(label.split())
