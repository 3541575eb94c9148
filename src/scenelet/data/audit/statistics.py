"""What one pass over a recording's samples tells about it, in constant memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from scenelet.audio.io import blocks
from scenelet.audio.windows import WindowSplitter, arrange_channels
from scenelet.data.audit import fingerprint, texture
from scenelet.data.audit.bandwidth import LongSpectrum
from scenelet.errors import AudioError, EmptyAudioError, TruncatedAudioError

FULL_SCALE = 0.999


@dataclass(frozen=True)
class RecordingStats:
    """What one pass over a recording's samples tells.

    Attributes:
        seconds: duration.
        sample_rate: Hz.
        peak: largest absolute sample, full scale is 1.
        clipped: share of samples at full scale.
        digest: of the decoded samples and their rate, whatever the container.
        offset: the mean sample of the channel where it is largest, with its sign.
        constant: the channels that hold one value throughout, from 0.
        channels: 1 or 2.
        twins: both channels hold the same.
        top_hz: where the sound ends abruptly, well below half the sample rate; None: it does not.
        texture: (`scenelet.data.audit.texture.LENGTH`,), the mean over its windows.
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
    top_hz: float | None
    texture: NDArray[np.float32]
    fingerprint: NDArray[np.uint32]


Refused = tuple[str, str]
"""(kind, message) of a recording that cannot be read."""


def recording_stats_or_error(path: Path) -> RecordingStats | Refused:
    """`recording_stats`, or what is wrong with the recording."""
    try:
        return recording_stats(path)
    except EmptyAudioError as error:
        return "empty", str(error)
    except TruncatedAudioError as error:
        return "cut short", str(error)
    except AudioError as error:
        return "unreadable", str(error)


def recording_stats(path: Path) -> RecordingStats:
    """Measure one recording in constant memory. Raises AudioError as `scenelet.audio.io.blocks`."""
    passes = blocks(path)
    samples, rate = next(passes)  # a recording without samples is refused
    pass_ = _Pass(len(samples), rate)
    pass_.push(samples)
    for samples, _ in passes:
        pass_.push(samples)
    return pass_.finish()


class _Pass:
    """Blocks (channels, n) in, what they measure out."""

    def __init__(self, channels: int, rate: int) -> None:
        self.channels, self.rate = channels, rate
        self.digest = hashlib.blake2b(f"{channels} channels at {rate} Hz".encode(), digest_size=16)
        self.count, self.full, self.peak = 0, 0, 0.0
        self.total = np.zeros(channels)
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.is_dual_mono = channels == 2
        self.spectrum = LongSpectrum(rate)
        self.windower = WindowSplitter(rate, texture.FRONT_END, texture.WINDOW)
        self.textures, self.windows = np.zeros(texture.LENGTH), 0
        self.telephone = soxr.ResampleStream(rate, fingerprint.SAMPLE_RATE, 1, dtype="float32")
        self.beginning: list[NDArray[np.float32]] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        loudness = np.abs(samples)
        self.full += int(np.count_nonzero(loudness >= FULL_SCALE))
        self.peak = max(self.peak, float(loudness.max()))
        self.digest.update(samples.T.tobytes())  # interleaved, so that block borders do not matter
        self.total += samples.sum(axis=1, dtype=np.float64)
        self.low = np.minimum(self.low, samples.min(axis=1))
        self.high = np.maximum(self.high, samples.max(axis=1))
        self.is_dual_mono = self.is_dual_mono and np.array_equal(samples[0], samples[-1])
        self.spectrum.push(samples)
        self._listen(self.windower.push(samples))
        left = round(fingerprint.MAX_SECONDS * self.rate) - self.count
        if left > 0:
            mono = arrange_channels(samples, "mono")[0, :left]
            self.beginning.append(self.telephone.resample_chunk(np.ascontiguousarray(mono)))
        self.count += samples.shape[1]

    def finish(self) -> RecordingStats:
        self._listen(self.windower.finish())
        self.beginning.append(self.telephone.resample_chunk(np.zeros(0, np.float32), last=True))
        means = self.total / self.count
        constant = np.flatnonzero(self.low == self.high)
        return RecordingStats(
            seconds=self.count / self.rate,
            sample_rate=self.rate,
            peak=self.peak,
            clipped=self.full / (self.count * self.channels),
            digest=self.digest.hexdigest(),
            offset=float(means[np.argmax(np.abs(means))]),
            constant=tuple(int(channel) for channel in constant),
            channels=self.channels,
            is_dual_mono=self.is_dual_mono,
            top_hz=self.spectrum.top_hz(),
            texture=(self.textures / self.windows).astype(np.float32),
            fingerprint=fingerprint.audio_fingerprint(np.concatenate(self.beginning)),
        )

    def _listen(self, windows: Iterator[NDArray[np.float32]]) -> None:
        for window in windows:
            self.textures += texture.texture(window)
            self.windows += 1
