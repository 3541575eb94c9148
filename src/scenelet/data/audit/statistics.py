"""Statistics of one recording, computed in one pass and in constant memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from scenelet.audio.io import BLOCK_FRAMES, AudioSource, blocks
from scenelet.audio.samples import arrange_channels
from scenelet.audio.windows import WindowSplitter
from scenelet.data.audit import fingerprint, texture
from scenelet.data.audit.bandwidth import MeanSpectrum
from scenelet.errors import AudioError, EmptyAudioError, TruncatedAudioError

FULL_SCALE = 0.999
"""Absolute value from which a sample counts as clipped."""


@dataclass(frozen=True)
class RecordingStats:
    """Statistics of one recording.

    Attributes:
        seconds: duration.
        sample_rate: sample rate, Hz.
        peak: maximum absolute sample; full scale is 1.
        clipped: fraction of samples at full scale.
        digest: hash of the decoded samples, their channels and rate; it does not depend on the file format.
        offset: mean sample of the channel whose mean is farthest from 0.
        constant: indices of the channels whose samples are all equal.
        channels: number of channels.
        is_dual_mono: there are two channels, and they are equal.
        mono_power: power of the mean of the channels, as a fraction of the channels' mean power; 1 for mono, 0.5 for
            unrelated channels, 0 if the channels cancel out.
        cutoff_hz: frequency at which the sound ends abruptly, far below half the sample rate; None: no such frequency.
        texture: mean texture of its windows, (`scenelet.data.audit.texture.LENGTH`,).
        notes: what is odd about the file, one sentence each.
        fingerprint: `scenelet.data.audit.fingerprint.audio_fingerprint` of its first seconds.
    """

    seconds: float
    sample_rate: int
    peak: float
    clipped: float
    digest: str
    offset: float
    constant: tuple[int, ...]
    channels: int
    is_dual_mono: bool
    mono_power: float
    cutoff_hz: float | None
    notes: tuple[str, ...]
    texture: NDArray[np.float32]
    fingerprint: NDArray[np.uint32]


StatsError = tuple[str, str]
"""Error of a recording that cannot be read: the kind of the finding, and the message."""


def recording_stats_or_error(recording: AudioSource) -> RecordingStats | StatsError:
    """Return the `recording_stats`, or the error of a recording that cannot be read."""
    try:
        return recording_stats(recording)
    except AudioError as error:
        return {EmptyAudioError: "empty", TruncatedAudioError: "truncated"}.get(type(error), "unreadable"), str(error)


def recording_stats(recording: AudioSource, block_frames: int = BLOCK_FRAMES) -> RecordingStats:
    """Compute the statistics of one recording in constant memory.

    Args:
        recording: the recording, or a part of one.
        block_frames: maximum samples per channel that are read at once. The digest and the peak do not depend on it.

    Raises:
        AudioError: as `scenelet.audio.io.blocks`.

    >>> from scenelet.model.pretrained import example
    >>> stats = recording_stats(example("esc10"))
    >>> round(stats.seconds, 3), stats.sample_rate, stats.channels, round(stats.peak, 1)
    (5.001, 44100, 1, 1.0)
    """
    notes: list[str] = []
    remaining = blocks(recording, block_frames=block_frames, on_note=notes.append)
    samples, rate = next(remaining)  # `blocks` refuses a recording without samples
    statistics = _RunningStats(len(samples), rate)
    statistics.push(samples)
    for samples, _ in remaining:
        statistics.push(samples)
    return statistics.finish(tuple(notes))


class _RunningStats:
    """Statistics of blocks (channels, n), updated block by block."""

    def __init__(self, channels: int, rate: int) -> None:
        self.channels, self.rate = channels, rate
        self.digest = hashlib.blake2b(f"{channels} channels at {rate} Hz".encode(), digest_size=16)
        self.count, self.clipped, self.power, self.mono_power = 0, 0, 0.0, 0.0
        self.total = np.zeros(channels)
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.is_dual_mono = channels == 2
        self.spectrum = MeanSpectrum(rate)
        self.splitter = WindowSplitter(rate, texture.FEATURES, texture.WINDOW)
        self.textures, self.windows = np.zeros(texture.LENGTH), 0
        self.resampler = soxr.ResampleStream(rate, fingerprint.SAMPLE_RATE, 1, dtype="float32")
        self.mono_start: list[NDArray[np.float32]] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        self.clipped += int(np.count_nonzero(np.abs(samples) >= FULL_SCALE))
        self.digest.update(samples.T.tobytes())  # interleaved, so that the block size does not matter
        self.total += samples.sum(axis=1, dtype=np.float64)
        self.low = np.minimum(self.low, samples.min(axis=1))
        self.high = np.maximum(self.high, samples.max(axis=1))
        self.is_dual_mono = self.is_dual_mono and np.array_equal(samples[0], samples[-1])
        self.power += float(np.square(samples).mean(axis=0).sum(dtype=np.float64))
        self.mono_power += float(np.square(samples.mean(axis=0)).sum(dtype=np.float64))
        self.spectrum.push(samples)
        self._add_textures(self.splitter.push(samples))
        remaining = round(fingerprint.MAX_SECONDS * self.rate) - self.count
        if remaining > 0:
            mono = arrange_channels(samples, "mono")[0, :remaining]
            self.mono_start.append(self.resampler.resample_chunk(np.ascontiguousarray(mono)))
        self.count += samples.shape[1]

    def finish(self, notes: tuple[str, ...]) -> RecordingStats:
        self._add_textures(self.splitter.finish())
        self.mono_start.append(self.resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        means = self.total / self.count
        return RecordingStats(
            seconds=self.count / self.rate,
            sample_rate=self.rate,
            peak=float(np.maximum(-self.low, self.high).max()),
            clipped=self.clipped / (self.count * self.channels),
            digest=self.digest.hexdigest(),
            offset=float(means[np.argmax(np.abs(means))]),
            constant=tuple(np.flatnonzero(self.low == self.high).tolist()),
            channels=self.channels,
            is_dual_mono=self.is_dual_mono,
            mono_power=self.mono_power / self.power if self.power > 0 else 1.0,
            cutoff_hz=self.spectrum.cutoff_hz(),
            notes=notes,
            texture=(self.textures / self.windows).astype(np.float32),
            fingerprint=fingerprint.audio_fingerprint(np.concatenate(self.mono_start)),
        )

    def _add_textures(self, windows: Iterator[NDArray[np.float32]]) -> None:
        for window in windows:
            self.textures += texture.texture(window)
            self.windows += 1
