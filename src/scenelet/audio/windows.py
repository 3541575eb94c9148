"""Windows of a recording, an array or live sound: resampled to the model's rate and cut in constant memory.

Blocks of samples go into a `WindowSplitter` and windows come out. The resampler is a streaming one, so the windows do
not depend on the size of the blocks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import soxr

from scenelet.audio.io import BLOCK_FRAMES, AudioSource, Samples, blocks, print_note
from scenelet.audio.samples import arrange_channels
from scenelet.audio.silence import SoundDetector
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.utils.parallel import parallel_map

NoSound = Literal["silence", "too short"]
"""Reason why a recording has no class."""
MIN_SECONDS = 0.1
"""Minimum duration of a recording that has a class. Shorter ones are a click of one or two analysis frames."""


def repeat_sound(window: Samples, silence_threshold_db: float, min_samples: int) -> Samples:
    """Fill the silent ends of a window (channels, n) by repeating the sound between them.

    Otherwise a short sound in a long window is mostly padding. The amount of padding depends more on how the clips were
    cut than on the sound.

    Args:
        window: samples.
        silence_threshold_db: samples are silent if they are this far below the window's peak in every channel.
        min_samples: minimum length of what is repeated. A shorter sound is repeated with silence around it, since a
            click must not become a tone.

    >>> repeat_sound(np.float32([[0, 0, 3, 4, 5, 0, 0, 0]]), silence_threshold_db=60, min_samples=1).tolist()
    [[3.0, 4.0, 5.0, 3.0, 4.0, 5.0, 3.0, 4.0]]
    """
    n = window.shape[1]
    first, last = sound_span(window, silence_threshold_db, min_samples)
    if last - first == n:
        return window
    return np.tile(window[:, first:last], -(-n // (last - first)))[:, :n]


def sound_span(window: Samples, silence_threshold_db: float, min_samples: int) -> tuple[int, int]:
    """Find the first sample, and one past the last, that `repeat_sound` repeats. A silent window is all repeated."""
    level = np.abs(window).max(axis=0)
    is_audible = level > level.max() * 10 ** (-silence_threshold_db / 20)
    n = window.shape[1]
    first, last = int(is_audible.argmax()), n - int(is_audible[::-1].argmax())
    if not is_audible[first]:
        return 0, n
    last = max(last, min(first + min_samples, n))
    return min(first, max(last - min_samples, 0)), last


class WindowSplitter:
    """Resampler and cutter: blocks of samples go in, windows at the model's rate come out.

    Files, arrays and live sound all go through this class. With `window.keep_rest`, the last window can be longer than
    the others, by less than `features.hop_length`, and has as many frames.

    Args:
        source_rate: sample rate of the blocks in Hz.
        features: sample rate and channel layout of the windows.
        window: length, hop, padding and the rule for the last window.
        threads: number of threads that resample the channels. The windows do not depend on it.

    >>> splitter = WindowSplitter(8000, FeatureConfig(sample_rate=8000, channels="mono"), WindowConfig(seconds=0.5))
    >>> [window.shape for window in splitter.push(np.zeros((2, 10000), np.float32))]
    [(1, 4000), (1, 4000)]
    >>> [window.shape for window in splitter.finish()]
    [(1, 4000)]
    >>> splitter.no_sound
    'silence'
    """

    def __init__(self, source_rate: int, features: FeatureConfig, window: WindowConfig, threads: int = 1) -> None:
        self.sample_rate, self.layout = features.sample_rate, features.channels
        self.window, self.threads = window, threads
        self.length = window.samples(self.sample_rate)
        self.hop = window.hop_samples(self.sample_rate)
        # a window is complete when it is followed by a sample that it cannot take
        self._complete = self.length + window.rest_samples(features) + 1 if window.keep_rest else self.length
        self._resampled = 0  # samples of each channel
        count = 0 if source_rate == self.sample_rate else features.n_channels
        self._resamplers = [
            soxr.ResampleStream(source_rate, self.sample_rate, 1, dtype="float32") for _ in range(count)
        ]
        self._buffer: Samples = np.empty((features.n_channels, self._complete), np.float32)
        self._filled = 0  # samples in the buffer
        self._emitted = 0  # windows so far
        self._source_rate, self._received = source_rate, 0
        self._detector = SoundDetector(source_rate)

    @property
    def no_sound(self) -> NoSound | None:
        """Reason why the samples so far have no class: they are too few or silent. None: they may have one."""
        if self._received < MIN_SECONDS * self._source_rate:
            return "too short"
        return None if self._detector.has_sound else "silence"

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Add samples (1 or 2, n) and yield each window (channels, length) that is now complete."""
        arranged = arrange_channels(samples, self.layout)
        self._received += arranged.shape[1]
        self._detector.push(arranged)
        yield from self._cut(self._resample(arranged, last=False))

    def finish(self) -> Iterator[Samples]:
        """End the sound and yield the remaining windows. The last one is padded with zeros."""
        empty: Samples = np.zeros((len(self._buffer), 0), np.float32)
        yield from self._cut(self._resample(empty, last=True))
        if self.window.keep_rest:
            missing = -(-self._received * self.sample_rate // self._source_rate) - self._resampled
            yield from self._cut(list(np.zeros((len(self._buffer), max(0, missing)), np.float32)))
            if self._filled >= self.length:
                yield self._fill_silence(self._buffer[:, : self._filled])
                return
        tail = self._filled - (self.length - self.hop if self._emitted else 0)
        if not self._emitted or self.window.keeps_tail(tail, self.sample_rate):
            self._emitted += 1
            self._buffer[:, self._filled :] = 0
            yield self._fill_silence(self._buffer[:, : self.length])

    def _resample(self, samples: Samples, last: bool) -> Sequence[Samples]:
        """Resample (channels, n) to one array for each channel."""
        if not self._resamplers:
            return list(samples)

        def resample(channel: int) -> Samples:
            chunk = np.ascontiguousarray(samples[channel])
            resampled: Samples = self._resamplers[channel].resample_chunk(chunk, last=last)
            return resampled

        return parallel_map(resample, range(len(samples)), self.threads)

    def _cut(self, samples: Sequence[Samples]) -> Iterator[Samples]:
        start, end = 0, len(samples[0])
        self._resampled += end
        while start < end:
            count = min(self._complete - self._filled, end - start)
            for row, values in zip(self._buffer, samples, strict=True):
                row[self._filled : self._filled + count] = values[start : start + count]
            start += count
            self._filled += count
            if self._filled == self._complete:
                complete, self._buffer = self._buffer, np.empty_like(self._buffer)
                self._filled = self._complete - self.hop
                self._buffer[:, : self._filled] = complete[:, self.hop :]
                self._emitted += 1
                yield self._fill_silence(complete[:, : self.length])

    def _fill_silence(self, window: Samples) -> Samples:
        if self.window.pad_mode == "zeros":
            return window
        min_samples = self.window.min_sound_samples(self.sample_rate)
        return repeat_sound(window, self.window.silence_threshold_db, min_samples)


class Windows:
    """Iterator over the windows (channels, length) of a sound, in constant memory.

    Args:
        blocks: pairs of samples (channels, n) and their rate in Hz, at least one.
        features: sample rate and channel layout of the windows.
        window: length, hop, padding and the rule for the last window.
        threads: number of threads that resample the channels. The windows do not depend on it.

    >>> features, window = FeatureConfig(sample_rate=8000, channels="mono"), WindowConfig(seconds=1.0)
    >>> cuts = Windows([(np.zeros((1, 8000), np.float32), 8000)], features, window)
    >>> [cut.shape for cut in cuts], cuts.no_sound
    ([(1, 8000)], 'silence')
    """

    def __init__(
        self,
        blocks: Iterable[tuple[Samples, int]],
        features: FeatureConfig,
        window: WindowConfig,
        threads: int = 1,
    ) -> None:
        self._splitter: WindowSplitter | None = None
        self._cuts = self._cut(blocks, features, window, threads)

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        return next(self._cuts)

    @property
    def no_sound(self) -> NoSound | None:
        """Reason why the sound has no class, see `WindowSplitter.no_sound`. It is known after the last window."""
        return None if self._splitter is None else self._splitter.no_sound

    def _cut(
        self, blocks: Iterable[tuple[Samples, int]], features: FeatureConfig, window: WindowConfig, threads: int
    ) -> Iterator[Samples]:
        for samples, rate in blocks:
            if self._splitter is None:
                self._splitter = WindowSplitter(rate, features, window, threads)
            yield from self._splitter.push(samples)
        assert self._splitter is not None  # there is at least one block
        yield from self._splitter.finish()


def windows(
    recording: AudioSource,
    features: FeatureConfig,
    window: WindowConfig,
    threads: int = 1,
    max_seconds: float | None = None,
    on_note: Callable[[str], None] = print_note,
) -> Windows:
    """Cut a recording into windows.

    Args:
        recording: a path or an open binary file.
        features, window, threads: as `Windows`.
        max_seconds: maximum length of the recording.
        on_note: called with what is odd about the recording, as in `scenelet.audio.io.blocks`.

    Raises:
        AudioError: as `scenelet.audio.io.blocks`, while the windows are read.

    >>> from scenelet.model.pretrained import example
    >>> features, window = FeatureConfig(sample_rate=22050, channels="mono"), WindowConfig(seconds=2.0)
    >>> [cut.shape for cut in windows(example("esc10"), features, window)]
    [(1, 44100), (1, 44100), (1, 44100)]
    """
    return Windows(blocks(recording, max_seconds, on_note=on_note), features, window, threads)


def windows_of_array(
    samples: Samples, sample_rate: int, features: FeatureConfig, window: WindowConfig, threads: int = 1
) -> Windows:
    """Cut samples (1 or 2, n) in memory into windows.

    Args:
        samples: full scale +-1.
        sample_rate: their rate in Hz.
        features, window, threads: as `Windows`.

    >>> features, window = FeatureConfig(sample_rate=22050, channels="stereo"), WindowConfig(seconds=1.0)
    >>> [cut.shape for cut in windows_of_array(np.zeros((1, 100_000), np.float32), 48_000, features, window)]
    [(2, 22050), (2, 22050), (2, 22050)]
    """
    starts = range(0, samples.shape[1], BLOCK_FRAMES)
    parts = ((samples[:, start : start + BLOCK_FRAMES], sample_rate) for start in starts)
    return Windows(parts, features, window, threads)
