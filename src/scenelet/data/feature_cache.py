"""The feature cache: every recording's windows as log-mel, computed once.

One folder per (data root, feature settings, window rule) holds `windows.f16`, to which rows of
(channels, n_mels, frames) are only ever appended, and `index.jsonl`, a line per finished clip. A line is
written after its rows are on the disk, so a build that was cut goes on with what is missing. A clip is its
name, size and time of change; an altered file is a new clip.
"""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import summarize_audio_errors
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data.clips import Clip
from scenelet.errors import AudioError, OutputError
from scenelet.utils.console import track
from scenelet.utils.files import cache_folder, file_lock
from scenelet.utils.parallel import map_processes

Windows = NDArray[np.float16]
"""(windows, channels, n_mels, frames) of one recording."""

BATCH_CLIPS = 32
"""Clips whose rows are brought to the disk at once: what a kill costs at most."""
FORMAT = 2  # raise it when the same settings no longer give the same features


@dataclass(frozen=True)
class ClipFeatures:
    """The windows of some clips: clip i owns rows `first[i]` to `first[i] + count[i]`.

    Attributes:
        values: (rows, channels, n_mels, frames) float16, a read-only memory map.
        first, count: (clips,) int64.
    """

    values: NDArray[np.float16]
    first: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def rows(self) -> NDArray[np.int64]:
        """Every row of these clips, clip by clip."""
        return np.concatenate([np.arange(f, f + n) for f, n in zip(self.first, self.count, strict=True)])

    def load(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,) rows -> (n, channels, n_mels, frames) float32."""
        return self.values[rows].astype(np.float32)


def load_features(
    clips: Sequence[Clip],
    root: Path,
    features: FeatureConfig,
    window: WindowConfig,
    cache_dir: Path | None = None,
    workers: int | None = None,
) -> ClipFeatures:
    """The features of `clips`, in their order; what is not in the cache yet is computed first.

    Raises:
        AudioError: some recordings cannot be read, or changed meanwhile; the others' features stay cached.
        OutputError: the cache cannot be written.
    """
    folder = (cache_dir or cache_folder()) / _folder_name(root, features, window)
    shape = (features.n_channels, features.n_mels, features.n_frames(window.samples(features.sample_rate)))
    try:
        with file_lock(folder / "lock"):
            index = _build(clips, folder, features, window, shape, workers)
    except OSError as error:
        raise OutputError(f"{folder}: the feature cache cannot be written ({error.strerror or error})") from None
    # a row that a killed build left half written is no part of it
    rows = _rows_on_disk(folder / "windows.f16", 2 * int(np.prod(shape)))
    values = np.memmap(folder / "windows.f16", np.float16, "r", shape=(rows, *shape))
    places = np.array([index[identity(clip)] for clip in clips], np.int64).reshape(-1, 2)
    return ClipFeatures(values, places[:, 0], places[:, 1])


def band_statistics(features: ClipFeatures) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation (n_mels,) over clips, channels and time, for standardization.

    A band that hardly moves gets a hundredth of the median deviation as its floor, so that a constant
    band is not blown up.
    """
    n_mels = features.values.shape[2]
    total, squares, count = np.zeros(n_mels), np.zeros(n_mels), 0
    rows = features.rows()
    for part in np.array_split(rows, max(1, len(rows) // 64)):
        x = features.load(part).astype(np.float64)
        total += x.sum(axis=(0, 1, 3))
        squares += (x**2).sum(axis=(0, 1, 3))
        count += x.size // n_mels
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    floor = 0.01 * np.median(deviation) or 1.0
    return mean.astype(np.float32), np.maximum(deviation, floor).astype(np.float32)


def _build(
    clips: Sequence[Clip],
    folder: Path,
    features: FeatureConfig,
    window: WindowConfig,
    shape: tuple[int, ...],
    workers: int | None,
) -> dict[str, tuple[int, int]]:
    row_bytes = 2 * int(np.prod(shape))
    index = _read_index(folder / "index.jsonl", _rows_on_disk(folder / "windows.f16", row_bytes))
    missing = [clip for clip in clips if identity(clip) not in index]
    if not missing:
        return index
    end = max((first + count for first, count in index.values()), default=0)
    identities = [identity(clip) for clip in missing]
    faults = []
    with (folder / "windows.f16").open("ab") as rows, (folder / "index.jsonl").open("a", newline="\n") as lines:
        rows.truncate(end * row_bytes)  # rows whose line was never written
        compute = functools.partial(_file_features, features=features, window=window)
        results = map_processes(compute, [clip.path for clip in missing], workers)
        done = track(results, "Features", len(missing))
        waiting: list[str] = []
        try:
            for clip, own, windows in zip(missing, identities, done, strict=True):
                if not isinstance(windows, AudioError):
                    windows = _unless_changed(windows, clip, own)
                if isinstance(windows, AudioError):
                    faults.append(windows)
                    continue
                rows.write(windows.data)
                waiting.append(json.dumps([own, end, len(windows)]) + "\n")
                index[own] = (end, len(windows))
                end += len(windows)
                if len(waiting) == BATCH_CLIPS:
                    _keep(rows, lines, waiting)
        finally:  # a bug, or an interrupt: what was computed before it stays
            _keep(rows, lines, waiting)
    if faults:
        raise summarize_audio_errors(faults, len(clips))
    return index


def _keep(rows: BinaryIO, lines: TextIO, waiting: list[str]) -> None:
    """Write the lines that wait, once their rows are on the disk."""
    rows.flush()
    os.fsync(rows.fileno())
    lines.writelines(waiting)
    lines.flush()
    waiting.clear()


def _rows_on_disk(path: Path, row_bytes: int) -> int:
    return path.stat().st_size // row_bytes if path.exists() else 0


def _read_index(path: Path, rows: int) -> dict[str, tuple[int, int]]:
    """Finished clips up to the first line that is cut, damaged or without rows; the rest is dropped, in the file too.

    Lines behind such a one count no more: their rows are written over by the next build, and would be another clip's.
    """
    if not path.exists():
        return {}
    data, good, end = path.read_bytes(), 0, 0
    index: dict[str, tuple[int, int]] = {}
    for line in data.splitlines(keepends=True):
        entry = _entry(line)
        if entry is None or entry[1] != end or end + entry[2] > rows:
            break
        identity, first, count = entry
        index[identity], end, good = (first, count), end + count, good + len(line)
    if good != len(data):
        with path.open("r+b") as file:
            file.truncate(good)
    return index


def _entry(line: bytes) -> tuple[str, int, int] | None:
    """(clip, first row, rows) as a line says it; None: it is cut or damaged."""
    try:
        identity, first, count = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    whole = line.endswith(b"\n") and isinstance(identity, str) and type(first) is type(count) is int
    return (identity, first, count) if whole and count > 0 else None


def _file_features(path: Path, features: FeatureConfig, window: WindowConfig) -> Windows | AudioError:
    """The windows of one recording, or what is wrong with it."""
    transform = _log_mel(features)
    try:
        return np.stack([transform(cut).astype(np.float16) for cut in windows(path, features, window)])
    except AudioError as error:
        return error


@functools.cache
def _log_mel(features: FeatureConfig) -> LogMel:
    return LogMel(features)


def identity(clip: Clip) -> str:
    """What changes when the clip's file does. Raises AudioError where it is not there any more."""
    try:
        status = clip.path.stat()
    except OSError as error:
        raise AudioError(f"{clip.path}: is gone ({error.strerror}); was it moved meanwhile?") from None
    return f"{clip.name}|{status.st_size}|{status.st_mtime_ns}"


def _unless_changed(windows: Windows, clip: Clip, before: str) -> Windows | AudioError:
    """The windows, unless another file has come to lie in the clip's place while they were computed."""
    try:
        if identity(clip) == before:
            return windows
    except AudioError as error:
        return error
    return AudioError(f"{clip.path}: changed while it was read; run the same command again")


def _folder_name(root: Path, features: FeatureConfig, window: WindowConfig) -> str:
    settings = [FORMAT, str(root.resolve()), features.model_dump(), window.model_dump()]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
