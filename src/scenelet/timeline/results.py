"""Events of single recordings, stored in the folder of a timeline, so that an interrupted run resumes.

timeline.json            model and settings, which all recordings share
recordings/HASH.json     a finished recording; HASH is that of its absolute path
"""

import hashlib
import os
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import Field, ValidationError

from scenelet.config import Settings
from scenelet.errors import OutputError, escape_unprintable
from scenelet.inference.events import Event
from scenelet.inference.runtimes import RuntimeName
from scenelet.utils.files import make_folder, replace_file

FORMAT = 1
"""Version of the results. It increases when the same settings no longer give the same events."""
RECORD, RECORDINGS = "timeline.json", "recordings"


class TimelineSettings(Settings):
    """Everything besides the recording that its events depend on.

    Attributes:
        model: SHA-256 of the model file.
        hop_seconds: time between predictions; None: the default of `scenelet.inference.stream.Stream`.
        smooth_seconds, margin, threshold: as `scenelet.inference.stream.make_smoother`.
        runtime: library that runs the network.
        format: `FORMAT` of the program that wrote it.
    """

    model: str
    hop_seconds: float | None = None
    smooth_seconds: float = 2.0
    margin: float = 0.1
    threshold: float | None = None
    runtime: RuntimeName = "onnxruntime"
    format: int = FORMAT


class RecordingEvents(Settings):
    """Events of a recording.

    Attributes:
        path: path of the recording as the user gave it.
        bytes, modified_ns: size and time of the last change of the file when it was read.
        seconds: length.
        sample_rate: Hz.
        start: wall-clock time of its beginning, with a zone if it is known; None: unknown.
        events: events in the order of time.
    """

    path: Path
    bytes: int
    modified_ns: int
    seconds: float = Field(ge=0)
    sample_rate: int = Field(gt=0)
    start: datetime | None = None
    events: tuple[Event, ...] = ()

    def wall_clock(self, seconds: float) -> datetime | None:
        """Return the wall-clock time of a time in the recording, or None if it is unknown."""
        return None if self.start is None else self.start + timedelta(seconds=round(seconds, 3))


def check_folder(folder: Path, settings: TimelineSettings) -> None:
    """Check that a timeline with these settings can start or resume in a folder.

    Raises:
        OutputError: the folder holds a timeline with other settings, or other files.
    """
    path = folder / RECORD
    if not path.is_file():
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise OutputError(f"{folder}: exists already and holds no timeline; choose another --out")
        return
    try:
        stored = TimelineSettings.model_validate_json(path.read_bytes())
    except (ValidationError, OSError):
        raise OutputError(f"{path}: damaged; choose another --out, or delete the folder") from None
    different = next((name for name in _OPTIONS if getattr(stored, name) != getattr(settings, name)), None)
    if different:
        raise OutputError(f"{folder}: holds a timeline with another {_OPTIONS[different]}; choose another --out")


_OPTIONS = {
    "format": "version of scenelet",
    "model": "model",
    "hop_seconds": "--hop",
    "smooth_seconds": "--smoothing",
    "margin": "--margin",
    "threshold": "--threshold",
    "runtime": "--runtime",
}
"""Text for each setting in a message."""


def start_folder(folder: Path, settings: TimelineSettings) -> None:
    """Record the settings of a timeline, unless the folder has them. Raises as `check_folder`."""
    check_folder(folder, settings)
    make_folder(folder / RECORDINGS)
    if not (folder / RECORD).is_file():
        replace_file(folder / RECORD, settings.model_dump_json(indent=2) + "\n")


def read_finished(folder: Path, recording: Path) -> RecordingEvents | None:
    """Read the stored events of a recording; return None if there are none, or if the recording has changed since."""
    try:
        status = recording.stat()
        stored = RecordingEvents.model_validate_json(_result_path(folder, recording).read_bytes())
    except (OSError, ValidationError):
        return None
    is_same = (stored.bytes, stored.modified_ns) == (status.st_size, status.st_mtime_ns)
    return stored.model_copy(update={"path": recording}) if is_same else None


def write_finished(folder: Path, recording: Path, result: RecordingEvents) -> None:
    """Store the events of a recording atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    printable = result.model_copy(update={"path": Path(escape_unprintable(str(recording)))})  # JSON is UTF-8
    replace_file(_result_path(folder, recording), printable.model_dump_json() + "\n")


def _result_path(folder: Path, recording: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.abspath(recording))).hexdigest()[:16]
    return folder / RECORDINGS / f"{name}.json"
