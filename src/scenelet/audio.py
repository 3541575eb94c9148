"""Recordings -> float32 samples -> windows at the model's rate, in constant memory.

There is one path for files, arrays and live sound: blocks of samples go into a `Windower`, windows
come out. The resampler is streaming, so its output does not depend on how the input was cut.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from scenelet.config import WindowConfig
from scenelet.errors import AudioError, CutShortError, EmptyAudioError
from scenelet.parallel import spread
from scenelet.riff import Wav24, chunks

Samples = NDArray[np.float32]
"""(channels, n), full scale is +-1."""

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".mp3")
BLOCK = 1 << 18  # samples per channel read at a time
UNKNOWN_BYTES = 0x7FFFF000  # from here up, a WAV's length is what writers to a pipe put there, not a length
UNKNOWN_FRAMES = 1 << 40  # likewise for other formats
ESTIMATED = ("MP3",)  # formats whose header only lets libsndfile guess the length


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says."""

    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


def info(path: Path) -> AudioInfo:
    """Read a recording's header.

    Raises:
        AudioError: not a file, not a recording, empty, cut short, or more than two channels.
    """
    with _open(path) as file:
        return AudioInfo(file.samplerate, file.channels, file.frames)


def blocks(path: Path) -> Iterator[tuple[Samples, int]]:
    """Yield `(samples (channels, n), sample_rate)` until the recording ends.

    Raises:
        AudioError: as `info`; also when the sound ends before its header says, or is not finite.
    """
    with _open(path) as file:
        read = 0
        endless = file.frames >= UNKNOWN_FRAMES
        # in a file of unknown length the read that meets the end fails, and its samples are lost: make it short
        size = 256 if endless else BLOCK
        # a file's own object, or ours for the one kind that libsndfile is slow at
        source = Wav24(path, file) if Wav24.fits(file) else file
        while True:
            try:
                block = source.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                if endless and read:
                    break
                raise AudioError(f"{path}: damaged after {read / file.samplerate:.1f} s ({_reason(error)})") from None
            if len(block) == 0:
                break
            if not np.isfinite(block).all():
                raise AudioError(f"{path}: holds samples that are not finite numbers; export it again")
            read += len(block)
            yield block.T, file.samplerate
        if read == 0:
            raise EmptyAudioError(f"{path}: holds no samples; record or export it again")
        if not endless and file.format not in ESTIMATED and read < file.frames:
            raise CutShortError(
                f"{path}: ends after {read / file.samplerate:.1f} s of {file.frames / file.samplerate:.1f} s;"
                " the file was cut short, copy it again"
            )


def read(path: Path) -> tuple[Samples, int]:
    """The whole recording: `(samples (channels, n), sample_rate)`. Raises as `blocks`."""
    parts, rates = zip(*blocks(path), strict=True)
    return np.concatenate(parts, axis=1), rates[0]


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


class Windower:
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
        self.min_tail = window.min_tail * self.length
        self.silence_db = window.silence_db if window.fill == "repeat" else None
        self.least_sound = max(1, round(window.least_sound_seconds * sample_rate))
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

        return spread(resample, range(len(samples)), self.threads)

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


def file_windows(
    path: Path,
    sample_rate: int,
    channels: Literal["mono", "stereo", "mid-side"],
    window: WindowConfig,
    threads: int = 1,
) -> Iterator[Samples]:
    """Windows (channels, length) of a recording, in constant memory; `threads` as for `Windower`.

    Raises as `blocks`.
    """
    windower: Windower | None = None
    for samples, rate in blocks(path):
        if windower is None:
            windower = Windower(rate, sample_rate, channels, window, threads)
        yield from windower.push(samples)
    assert windower is not None  # _open refuses a recording without samples
    yield from windower.finish()


def array_windows(
    samples: Samples,
    source_rate: int,
    sample_rate: int,
    channels: Literal["mono", "stereo", "mid-side"],
    window: WindowConfig,
    threads: int = 1,
) -> Iterator[Samples]:
    """Windows (channels, length) of samples (1 or 2, n) that are already in memory; `threads` as for `Windower`."""
    windower = Windower(source_rate, sample_rate, channels, window, threads)
    for start in range(0, samples.shape[1], BLOCK):
        yield from windower.push(samples[:, start : start + BLOCK])
    yield from windower.finish()


def _open(path: Path) -> soundfile.SoundFile:
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not path.is_file():
        raise AudioError(f"{path}: not a file; give the path of a recording")
    try:
        if path.stat().st_size == 0:
            raise EmptyAudioError(f"{path}: the file is empty; copy or record it again")
        _refuse_cut_wav(path)
        # soundfile encodes names strictly, and a name may be any bytes
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error})") from None
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: not a recording that can be read ({_reason(error)}); WAV, FLAC, Ogg and MP3 can"
        ) from None
    if file.frames == 0 or file.channels > 2:
        channels, frames = file.channels, file.frames
        file.close()
        if frames == 0:
            raise EmptyAudioError(f"{path}: holds no samples; record or export it again")
        raise AudioError(f"{path}: has {channels} channels; export it as mono or stereo")
    return file


def _refuse_cut_wav(path: Path) -> None:
    """libsndfile reads a WAV whose data ends early as if it were shorter; a user should know."""
    with path.open("rb") as file:
        riff = file.read(12)
        if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
            return
        size = path.stat().st_size
        for name, length, start in chunks(file):
            if name == b"data" and length < UNKNOWN_BYTES and start + length > size:
                raise CutShortError(
                    f"{path}: {start + length - size} of {length} bytes of sound are missing;"
                    " the file was cut short, copy it again"
                )


def _reason(error: Any) -> str:
    """libsndfile's reason; for sound it cannot recognise it says that the file does not exist."""
    if "does not exist" in str(error):
        return "its format is not recognised"
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
