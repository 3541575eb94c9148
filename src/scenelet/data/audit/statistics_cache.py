"""Measures of recordings, kept beside the feature cache, so that training need not read again what `check` has read.

One file for each data root, a line of JSON for each recording; the last line of a recording counts. A recording is its
name, size and time of change, as in the feature cache. What cannot be kept costs time, and nothing else.
"""

import base64
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from scenelet.data.audit.statistics import RecordingStats, Refused, recording_stats_or_error
from scenelet.data.clips import Clip
from scenelet.data.feature_cache import identity
from scenelet.errors import AudioError, OutputError
from scenelet.utils.files import cache_folder, replace_file
from scenelet.utils.locks import file_lock
from scenelet.utils.parallel import map_processes

FORMAT = 2  # raise it when the same recording is measured otherwise
ARRAYS = {"texture": "<f4", "fingerprint": "<u4"}


def all_recording_stats(
    clips: Sequence[Clip], root: Path, cache_dir: Path | None = None, workers: int | None = None, again: bool = False
) -> Iterator[RecordingStats | Refused]:
    """Yield what each clip measures, in their order; what was measured now is kept.

    Args:
        clips: the clips.
        root: of the data.
        cache_dir: where it is kept; None: `scenelet.utils.files.cache_folder()`.
        workers: processes; None: one a processor.
        again: read every recording, whatever is kept.
    """
    name = hashlib.sha256(f"{FORMAT} {root.resolve()}".encode(errors="surrogateescape")).hexdigest()[:16]
    path = (cache_dir or cache_folder()) / f"measures-{name}.jsonl"
    names = [_identity(clip) for clip in clips]
    with _locked(path) as writable:
        kept = {} if again else _read(path, set(names))
        missing = [clip.path for clip, own in zip(clips, names, strict=True) if own not in kept]
        new = map_processes(recording_stats_or_error, missing, workers)
        lines = _Lines(path) if writable and missing else None
        try:
            for own in names:
                result = kept.pop(own, None)
                if result is None:
                    measured = next(new)
                    if lines is not None and own and isinstance(measured, RecordingStats):
                        lines.add(json.dumps([own, _plain(measured)]) + "\n")
                    yield measured
                else:
                    yield result
        finally:
            if lines is not None:
                lines.close()
        if lines is not None and again:
            _drop_former(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether measures can be kept: not where the folder cannot be written, or is in use."""
    with contextlib.ExitStack() as held:
        writable = True
        try:
            held.enter_context(file_lock(path.with_suffix(".lock"), f"{path}: is in use"))
        except OutputError:
            writable = False
        yield writable


class _Lines:
    """Appends lines, until one cannot be written."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO | None = None
        with contextlib.suppress(OSError):
            if path.exists():  # a last line that was cut must not join the next one
                data = path.read_bytes()
                os.truncate(path, data.rfind(b"\n") + 1)
            self._file = path.open("a", encoding="ascii", newline="\n")

    def add(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None


def _drop_former(path: Path) -> None:
    """Leave the last line of each recording alone."""
    last: dict[str, bytes] = {}
    with contextlib.suppress(OSError, OutputError):
        for line in path.read_bytes().splitlines(keepends=True):
            with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                own, _ = json.loads(line)
                last[own.rsplit("|", 2)[0]] = line
        replace_file(path, b"".join(last.values()))


def _read(path: Path, wanted: set[str]) -> dict[str, RecordingStats]:
    kept: dict[str, RecordingStats] = {}
    with contextlib.suppress(OSError), path.open("rb") as lines:  # there are none yet
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):  # damaged: measured again
                own, values = json.loads(line)
                if own in wanted:
                    kept[own] = _measured(values)
    return kept


def _plain(measured: RecordingStats) -> dict[str, Any]:
    arrays = {key: base64.b64encode(getattr(measured, key).astype(kind).tobytes()) for key, kind in ARRAYS.items()}
    return vars(measured) | {key: value.decode() for key, value in arrays.items()}


def _measured(values: dict[str, Any]) -> RecordingStats:
    arrays: dict[str, NDArray[Any]] = {
        key: np.frombuffer(base64.b64decode(values[key]), kind) for key, kind in ARRAYS.items()
    }
    return RecordingStats(**(values | arrays | {"constant": tuple(values["constant"])}))


def _identity(clip: Clip) -> str:
    try:
        return identity(clip)
    except AudioError:
        return ""  # not there, which measuring it will say
