"""Statistics cache: the statistics of recordings, so that training does not read what `check` has read.

There is one file per data root, with one JSON line per recording; the last line of a recording counts. If the cache
cannot be used, the statistics are computed again.
"""

import base64
import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scenelet.data.audit.statistics import RecordingStats, StatsError, recording_stats_or_error
from scenelet.data.clips import Clip
from scenelet.data.json_lines import JsonLines, file_version
from scenelet.errors import AudioError, OutputError
from scenelet.utils.cache import cache_folder, make_cache_folder
from scenelet.utils.locks import file_lock
from scenelet.utils.parallel import map_processes

FORMAT = 4
"""Version of the statistics. Raise it when the same recording no longer gives the same statistics."""
ARRAYS = {"texture": "<f4", "fingerprint": "<u4"}
"""Attributes that are stored as Base64, with their types."""
WRITE_SECONDS = 1.0
"""Time between two writes. A crash loses at most the statistics of this time."""
MAX_CHUNK = 16
"""Maximum number of recordings that a process takes at once."""


def all_recording_stats(
    clips: Sequence[Clip], root: Path, workers: int | None = None, refresh: bool = False
) -> Iterator[RecordingStats | StatsError]:
    """Yield the statistics of each clip, in order, and cache what is computed.

    Args:
        clips, root: some clips of a table, and its root.
        workers: the number of processes; None: one per CPU.
        refresh: read every recording, even if its statistics are cached.
    """
    name = hashlib.sha256(f"{FORMAT} {root.resolve()}".encode(errors="surrogateescape")).hexdigest()[:16]
    path = cache_folder() / f"statistics-{name}.jsonl"
    versions = [_file_version_or_empty(clip) for clip in clips]
    with contextlib.ExitStack() as stack:
        writable = False
        with contextlib.suppress(OutputError):
            make_cache_folder(path.parent)
            stack.enter_context(file_lock(path.with_suffix(".lock"), f"{path}: is in use"))
            writable = True
        lines = JsonLines(path)
        cached = {} if refresh else _read(lines, set(versions))
        missing = [clip.recording for clip, version in zip(clips, versions, strict=True) if version not in cached]
        computed = map_processes(recording_stats_or_error, missing, workers, max_chunk=MAX_CHUNK)
        unlisted: list[Any] = []
        written = time.monotonic()
        try:
            for version in versions:
                if (result := cached.pop(version, None)) is not None:
                    yield result
                    continue
                new = next(computed)
                if writable and version and isinstance(new, RecordingStats):
                    unlisted.append([version, _to_json(new)])
                    if time.monotonic() - written >= WRITE_SECONDS:
                        writable, written = _append(lines, unlisted), time.monotonic()
                yield new
        finally:  # the caller may stop early
            writable = writable and _append(lines, unlisted)
        if writable and refresh:
            with contextlib.suppress(OSError, OutputError):
                lines.keep_last(_clip_name)


def _append(lines: JsonLines, values: list[Any]) -> bool:
    """Append the values to the file and clear the list; return False if that is not possible, e.g. on a full disk."""
    try:
        lines.append(values)
    except OSError:
        return False
    values.clear()
    return True


def _clip_name(value: Any) -> str | None:
    """Return the clip's name in the value of a line, or None if it is not valid."""
    match value:
        case [str(version), dict()]:
            return version.rsplit("|", 2)[0]
    return None


def _entries(lines: JsonLines) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield version and statistics of each valid line."""
    for value in lines.read():
        match value:
            case [str(version), dict(values)]:
                yield version, values


def _read(lines: JsonLines, wanted: set[str]) -> dict[str, RecordingStats]:
    cached: dict[str, RecordingStats] = {}
    with contextlib.suppress(OSError):
        for version, values in _entries(lines):
            if version in wanted:
                with contextlib.suppress(ValueError, TypeError, KeyError):  # a damaged line is computed again
                    cached[version] = _from_json(values)
    return cached


def _to_json(stats: RecordingStats) -> dict[str, Any]:
    arrays = {key: base64.b64encode(getattr(stats, key).astype(kind).tobytes()) for key, kind in ARRAYS.items()}
    return vars(stats) | {key: value.decode() for key, value in arrays.items()}


def _from_json(values: dict[str, Any]) -> RecordingStats:
    arrays = {key: np.frombuffer(base64.b64decode(values[key]), kind) for key, kind in ARRAYS.items()}
    return RecordingStats(**(values | arrays | {key: tuple(values[key]) for key in ("constant", "notes")}))


def _file_version_or_empty(clip: Clip) -> str:
    try:
        return file_version(clip)
    except AudioError:
        return ""  # the file is missing; `recording_stats_or_error` reports that
