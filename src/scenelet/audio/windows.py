"""Samples -> windows at the model's rate, in constant memory.

There is one path for files, arrays and live sound: blocks of samples go into a `WindowSplitter`, windows
come out. The resampler is streaming, so its output does not depend on how the input was cut.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import soxr
from numpy.typing import ArrayLike

from scenelet.audio.io import BLOCK, Samples, blocks
from scenelet.audio.pcm import find_invalid_samples
from scenelet.audio.wav import Recording
from scenelet.config import WindowConfig
from scenelet.errors import AudioError, UsageError
from scenelet.utils.parallel import parallel_map

SAMPLE_RATE_RANGE = (1000, 768000)
"""Hz that `predict_proba` takes; below, kHz were meant."""


def check_samples(samples: ArrayLike, sample_rate: int) -> Samples:
    """Samples of a caller -> (1 or 2, n) float32; see `Classifier.predict_proba` for what is refused."""
    array = np.asarray(samples)
    if not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"samples are {array.dtype}; give floating point with full scale +-1")
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise UsageError(f"samples have the shape {array.shape}; give (channels, n), or (n,) for mono")
    if array.size == 0:
        raise AudioError("the samples are empty; give at least one")
    if len(array) > 2:
        raise UsageError(f"samples have the shape {array.shape}; give (channels, n) with one or two channels")
    if not SAMPLE_RATE_RANGE[0] <= sample_rate <= SAMPLE_RATE_RANGE[1] or int(sample_rate) != sample_rate:
        raise UsageError(f"sample_rate is {sample_rate}; give a whole number of Hz from {SAMPLE_RATE_RANGE[0]} up")
    with np.errstate(over="ignore"):
        checked = array.astype(np.float32)
    if fault := find_invalid_samples(checked):
        raise AudioError(f"the sound holds {fault}; leave them out")
    return checked


def arrange_channels(samples: Samples, layout: Literal["mono", "stereo", "mid-side"]) -> Samples:
    """(1 or 2, n) -> (1, n) for mono, else (2, n).

    Mono is the mean of the channels; a mono recording fills both channels of a stereo model;
    mid-side is (left + right) / 2, (left - right) / 2.
    """
    if layout == "mono":
        return samples.mean(axis=0, keepdims=True, dtype=np.float32) if len(samples) == 2 else samples
    both = samples if len(samples) == 2 else np.repeat(samples, 2, axis=0)
    if layout == "stereo":
        return both
    return np.stack([both[0] + both[1], both[0] - both[1]]) * np.float32(0.5)


def repeat_sound(window: Samples, silence_db: float, at_least: int) -> Samples:
    """A window (channels, n) whose silent ends are filled by repeating the sound between them.

    A short sound in a long window is otherwise mostly padding, and how much of it there is tells a network more about
    how the clips were cut than about what is heard.

    Args:
        window: samples.
        silence_db: silent is what lies further below the window's peak than this, in every channel.
        at_least: samples that are repeated, with silence around a shorter sound: a click must not become a tone.
    """
    n = window.shape[1]
    first, last = sound_span(window, silence_db, at_least)
    if last - first == n:
        return window
    repeated: Samples = np.take(window, np.arange(n) % (last - first) + first, axis=1)
    return repeated


def sound_span(window: Samples, silence_db: float, at_least: int) -> tuple[int, int]:
    """First sample, and one past the last, of what `repeat_sound` repeats; the whole window where nothing is heard."""
    level = np.abs(window).max(axis=0)
    heard = np.flatnonzero(level > level.max() * 10 ** (-silence_db / 20))
    n = window.shape[1]
    if len(heard) == 0:
        return 0, n
    first, last = int(heard[0]), int(heard[-1]) + 1
    last = max(last, min(first + at_least, n))
    return min(first, max(last - at_least, 0)), last


class WindowSplitter:
    """Blocks of samples in, windows at the model's rate out; the one window rule.

    Args:
        source_rate: Hz of the blocks that are pushed.
        sample_rate: Hz of the windows.
        channels: layout of the windows.
        window: length, hop and tail rule.
        threads: how many share the work on the channels; the result does not depend on it.
    """

    def __init__(
        self,
        source_rate: int,
        sample_rate: int,
        channels: Literal["mono", "stereo", "mid-side"],
        window: WindowConfig,
        threads: int = 1,
    ) -> None:
        self.channels, self.threads = channels, threads
        self.length = window.samples(sample_rate)
        self.hop = window.hop_samples(sample_rate)
        self.min_tail = window.min_last_fraction * self.length
        self.silence_db = window.silence_threshold_db if window.pad_mode == "repeat" else None
        self.least_sound = max(1, round(window.min_sound_seconds * sample_rate))
        count = 1 if channels == "mono" else 2
        self._resamplers = (
            []
            if source_rate == sample_rate
            else [soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32") for _ in range(count)]
        )
        self._window: Samples = np.empty((count, self.length), np.float32)
        self._filled = 0  # samples of `_window` that are there
        self._emitted = 0

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Add (1 or 2, n) samples; yields each window (channels, length) that is now complete."""
        yield from self._take(self._resample(arrange_channels(samples, self.channels), last=False))

    def finish(self) -> Iterator[Samples]:
        """The sound has ended: yields the windows still due, the last one zero-padded."""
        empty: Samples = np.zeros((len(self._window), 0), np.float32)
        yield from self._take(self._resample(empty, last=True))
        tail = self._filled - (self.length - self.hop if self._emitted else 0)
        if not self._emitted or tail > self.min_tail:
            self._emitted += 1
            self._window[:, self._filled :] = 0
            yield self._finished(self._window)

    def _resample(self, samples: Samples, last: bool) -> Sequence[Samples]:
        """(channels, n) -> one array for each channel."""
        if not self._resamplers:
            return list(samples)

        def resample(channel: int) -> Samples:
            one: Samples = self._resamplers[channel].resample_chunk(np.ascontiguousarray(samples[channel]), last=last)
            return one

        return parallel_map(resample, range(len(samples)), self.threads)

    def _take(self, samples: Sequence[Samples]) -> Iterator[Samples]:
        start, end = 0, len(samples[0])
        while start < end:
            count = min(self.length - self._filled, end - start)
            for row, values in zip(self._window, samples, strict=True):
                row[self._filled : self._filled + count] = values[start : start + count]
            start += count
            self._filled += count
            if self._filled == self.length:
                complete, self._window = self._window, np.empty_like(self._window)
                self._filled = self.length - self.hop
                self._window[:, : self._filled] = complete[:, self.hop :]
                self._emitted += 1
                yield self._finished(complete)

    def _finished(self, window: Samples) -> Samples:
        if self.silence_db is None:
            return window
        return repeat_sound(window, self.silence_db, self.least_sound)


def windows_of_file(
    recording: Recording,
    sample_rate: int,
    channels: Literal["mono", "stereo", "mid-side"],
    window: WindowConfig,
    threads: int = 1,
    max_seconds: float | None = None,
) -> Iterator[Samples]:
    """Windows (channels, length) of a recording, in constant memory; `threads` as for `WindowSplitter`.

    Raises as `scenelet.audio.io.blocks`, whose `max_seconds` it takes.
    """
    windower: WindowSplitter | None = None
    for samples, rate in blocks(recording, max_seconds):
        if windower is None:
            windower = WindowSplitter(rate, sample_rate, channels, window, threads)
        yield from windower.push(samples)
    assert windower is not None  # a recording without samples is refused
    yield from windower.finish()


def windows_of_array(
    samples: Samples,
    source_rate: int,
    sample_rate: int,
    channels: Literal["mono", "stereo", "mid-side"],
    window: WindowConfig,
    threads: int = 1,
) -> Iterator[Samples]:
    """Windows (channels, length) of samples (1 or 2, n) that are already in memory; `threads` as for `WindowSplitter`."""
    windower = WindowSplitter(source_rate, sample_rate, channels, window, threads)
    for start in range(0, samples.shape[1], BLOCK):
        yield from windower.push(samples[:, start : start + BLOCK])
    yield from windower.finish()
