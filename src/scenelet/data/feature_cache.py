"""Feature cache: the windows of every recording as log-mel, and as samples for training on waveforms, computed once.

There is one folder per data root and settings. Its file `windows.f16` holds rows of (channels, n_mels, frames) or of
(channels, samples), to which rows are only appended. Its file `index.jsonl` lists the finished clips, one line per
clip. A line is written after its rows are on disk, so an interrupted build resumes with the missing clips. A changed
recording counts as a new clip.

Samples are float16 too. Log-mel of them differs by 0.01 dB (RMS on ESC-10), as with 16-bit integers. But float16 needs
no scale for quiet recordings, and does not clip those above full scale.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.io import Samples, summarize_audio_errors
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data.band_maps import BandMaps
from scenelet.data.clips import Clip
from scenelet.data.json_lines import JsonLines, file_version
from scenelet.errors import AudioError, OutputError
from scenelet.utils.cache import LOCK, cache_folder, limit_features, make_cache_folder
from scenelet.utils.console import track
from scenelet.utils.locks import file_lock
from scenelet.utils.parallel import map_processes

Windows = NDArray[np.float16]
"""Windows of one recording: (windows, channels, n_mels, frames), or (windows, channels, samples)."""

Index = dict[str, tuple[int, int]]
"""First row and number of rows of each finished clip, by `file_version`."""

BATCH_BYTES = 8 << 20
"""Size of rows that are written to disk at once. A crash loses at most these, which are a few seconds of work."""
MAX_CHUNK = 64
"""Maximum number of clips that a process takes at once."""
FORMAT, WAVEFORM_FORMAT = 2, 1
"""Versions of the features and of the waveforms. Raise one when the same settings no longer give the same values."""
MAX_SAMPLE = float(np.finfo(np.float16).max)
_log_mel = functools.cache(LogMel)
ROWS, INDEX = "windows.f16", "index.jsonl"


@dataclass(frozen=True)
class ClipFeatures:
    """Windows of some clips: clip i owns rows `first[i]` to `first[i] + count[i]`.

    Attributes:
        values: (rows, channels, n_mels, frames) float16, or (rows, channels, samples); a read-only memory map.
        first, count: (clips,) int64.
        maps: maps of the mel bands that `load` applies to the values; None: none.

    >>> values = np.zeros((5, 1, 64, 100), np.float16)
    >>> features = ClipFeatures(values, first=np.array([3, 0]), count=np.array([2, 1]))
    >>> features.rows()
    array([3, 4, 0])
    >>> features.load(features.rows()).shape
    (3, 1, 64, 100)
    """

    values: NDArray[np.float16]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    maps: BandMaps | None = None

    def __len__(self) -> int:
        return len(self.first)

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of these clips, clip by clip: (n,)."""
        before = np.cumsum(self.count) - self.count
        return np.repeat(self.first - before, self.count) + np.arange(self.count.sum())

    def select(self, clips: slice | NDArray[np.integer]) -> "ClipFeatures":
        """Select clips by their numbers, in that order."""
        return replace(self, first=self.first[clips], count=self.count[clips])

    def load(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Load rows (n,) as float32 (n, ...)."""
        values = self.values[rows].astype(np.float32)
        return values if self.maps is None else self.maps(values, rows)


def load_features(
    clips: Sequence[Clip], root: Path, features: FeatureConfig, window: WindowConfig, workers: int | None = None
) -> ClipFeatures:
    """Return the features of `clips`, in their order. Missing features are computed first.

    Args:
        clips, root: some clips of a table, and its root.
        features, window: the settings.
        workers: the number of processes; None: one per CPU.

    Raises:
        AudioError: some recordings cannot be read or changed meanwhile. The features of the others stay cached.
        OutputError: the cache cannot be written.
    """
    settings = [FORMAT, str(root.resolve()), features.model_dump(), window.model_dump()]
    shape = (features.n_channels, features.n_mels, features.n_frames(window.samples(features.sample_rate)))
    compute = functools.partial(_clip_windows, features=features, window=window, transform=_log_mel_row)
    return _load(clips, settings, shape, compute, "Features", workers)


def load_waveforms(
    clips: Sequence[Clip], root: Path, features: FeatureConfig, window: WindowConfig, workers: int | None = None
) -> ClipFeatures:
    """Return the samples of the windows of `clips`: rows (channels, samples). Missing ones are computed first.

    Arguments and errors are those of `load_features`. A rest that `window.keep_rest` adds to a window is left out.
    """
    layout = [features.sample_rate, features.channels]
    settings = ["waveforms", WAVEFORM_FORMAT, str(root.resolve()), layout, window.model_dump()]
    shape = (features.n_channels, window.samples(features.sample_rate))
    compute = functools.partial(_clip_windows, features=features, window=window, transform=_waveform_row)
    return _load(clips, settings, shape, compute, "Waveforms", workers)


def _load(
    clips: Sequence[Clip],
    settings: list[Any],
    shape: tuple[int, ...],
    compute: Callable[[tuple[Clip, str]], Windows | AudioError],
    description: str,
    workers: int | None,
) -> ClipFeatures:
    """Return rows of `shape` of `clips` from the folder of `settings`. `compute` gives those of a clip that lacks them.

    Args:
        clips: some clips of a table.
        settings: JSON values that determine the rows.
        shape: shape of a row.
        compute: function from a clip and its `file_version` to its rows. It runs in other processes.
        description: label of the progress bar.
        workers: the number of processes.
    """
    root_folder = cache_folder()
    folder = root_folder / hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    row_bytes = np.dtype(np.float16).itemsize * int(np.prod(shape))
    versions = [file_version(clip) for clip in clips]
    make_cache_folder(folder)
    try:
        with file_lock(folder / LOCK):
            os.utime(folder / LOCK)
            rows = folder / ROWS
            rows.touch()
            index = read_index(folder / INDEX, rows.stat().st_size // row_bytes)
            missing = [(clip, v) for clip, v in zip(clips, versions, strict=True) if v not in index]
            if missing:
                limit_features(root_folder, keep=folder)
                results: Iterable[Windows | AudioError] = map_processes(compute, missing, workers, max_chunk=MAX_CHUNK)
                results = track(results, description, len(missing))
                faults = _build([version for _, version in missing], results, folder, index, row_bytes)
                if faults:
                    raise summarize_audio_errors(faults, len(clips))
            # a crashed build may have left half a row, which is not mapped
            values = np.memmap(rows, np.float16, "r", shape=(rows.stat().st_size // row_bytes, *shape))
    except OSError as error:
        raise OutputError(
            f"{folder}: the feature cache cannot be written ({error.strerror or error}); make room with"
            " `scenelet cache --clear`, or set SCENELET_CACHE to another folder"
        ) from None
    positions = np.array([index[version] for version in versions], np.int64).reshape(-1, 2)
    return ClipFeatures(values, positions[:, 0], positions[:, 1])


def band_statistics(features: ClipFeatures) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean (n_mels,) and standard deviation (n_mels,) over clips, channels and time, for standardization.

    The standard deviation is at least a hundredth of the bands' median. So a constant band is not amplified.

    >>> loud = np.full((1, 1, 2, 100), 3, np.float16)
    >>> loud[..., ::2] = 1
    >>> band_statistics(ClipFeatures(loud, np.array([0]), np.array([1])))
    (array([2., 2.], dtype=float32), array([1., 1.], dtype=float32))
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


def read_index(path: Path, rows: int) -> Index:
    """Return the finished clips up to the first invalid line, and remove that line and all later ones from the file.

    A line is invalid if it is truncated or damaged, or if its rows are not among the `rows` on disk. Later lines must
    go too, because the next build overwrites their rows.
    """
    lines, index = JsonLines(path), Index()
    values = list(lines.read())
    next_row = valid = 0
    for value in values:
        match value:
            case [str(version), int(first), int(count)] if first == next_row and 0 < count <= rows - first:
                index[version] = first, count
                next_row, valid = first + count, valid + 1
            case _:
                break
    if valid < len(values):
        lines.replace(values[:valid])
    return index


def _build(
    versions: Sequence[str], results: Iterable[Windows | AudioError], folder: Path, index: Index, row_bytes: int
) -> list[AudioError]:
    """Add the features of missing clips to the cache and the index while they are computed, and return the errors."""
    lines = JsonLines(folder / INDEX)
    next_row = listed = max((first + count for first, count in index.values()), default=0)
    faults: list[AudioError] = []
    unlisted: list[tuple[str, int, int]] = []
    with (folder / ROWS).open("ab") as rows:
        rows.truncate(next_row * row_bytes)  # rows that no line lists

        def list_clips() -> None:
            rows.flush()
            os.fsync(rows.fileno())
            lines.append(unlisted)
            unlisted.clear()

        try:
            for version, result in zip(versions, results, strict=True):
                if isinstance(result, AudioError):
                    faults.append(result)
                    continue
                rows.write(result.data)
                unlisted.append((version, next_row, len(result)))
                index[version] = next_row, len(result)
                next_row += len(result)
                if (next_row - listed) * row_bytes >= BATCH_BYTES:
                    list_clips()
                    listed = next_row
        finally:  # an interrupt or a bug must not lose finished clips
            list_clips()
    return faults


def _log_mel_row(cut: Samples, features: FeatureConfig, window: WindowConfig) -> NDArray[np.float16]:
    return _log_mel(features)(cut).astype(np.float16)


def _waveform_row(cut: Samples, features: FeatureConfig, window: WindowConfig) -> NDArray[np.float16]:
    samples = cut[:, : window.samples(features.sample_rate)]
    return samples.clip(-MAX_SAMPLE, MAX_SAMPLE).astype(np.float16)


def _clip_windows(
    clip_version: tuple[Clip, str],
    features: FeatureConfig,
    window: WindowConfig,
    transform: Callable[[Samples, FeatureConfig, WindowConfig], NDArray[np.float16]],
) -> Windows | AudioError:
    """Return the windows of one recording, or its error. It is an error if the file is of another version by then."""
    clip, version = clip_version
    try:
        rows = np.stack([transform(cut, features, window) for cut in windows(clip.recording, features, window)])
        if file_version(clip) == version:
            return rows
    except AudioError as error:
        return error
    return AudioError(f"{clip.path}: changed while it was read; run the same command again")
