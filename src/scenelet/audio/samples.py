"""Arrays of samples: those of a caller, and the channels that a model takes."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from scenelet.audio.io import Samples
from scenelet.audio.pcm import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, find_invalid_samples
from scenelet.errors import AudioError, UsageError

ChannelLayout = Literal["mono", "stereo", "mid-side"] | int


def check_samples(samples: ArrayLike, sample_rate: int) -> Samples:
    """Convert a caller's samples to (channels, n) float32.

    Args:
        samples: floating point with full scale +-1, (channels, n) or (n,) for mono.
        sample_rate: Hz.

    Raises:
        AudioError: there are no samples, or some are not finite.
        UsageError: another shape or type, or an invalid sample rate.

    >>> check_samples([0.5, -0.5], 8000)
    array([[ 0.5, -0.5]], dtype=float32)
    """
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
    is_number = isinstance(sample_rate, int | float | np.number)
    if not is_number or not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE or int(sample_rate) != sample_rate:
        raise UsageError(
            f"sample_rate is {sample_rate!r}; give an integer from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        )
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if fault := find_invalid_samples(converted):
        raise AudioError(f"the sound holds {fault}; leave them out")
    return converted


def arrange_channels(samples: Samples, layout: ChannelLayout) -> Samples:
    """Convert samples (channels, n) to (1, n) for mono or one channel, and to (2, n) for the other layouts.

    Mono is the mean of all channels. A number is that channel, or the mean if the recording has no such channel. The
    other layouts use the first two channels. A mono recording fills both channels of a stereo model. Mid-side is
    (left + right) / 2 and (left - right) / 2.

    >>> arrange_channels(np.float32([[1.0], [0.5]]), "mid-side").tolist()
    [[0.75], [0.25]]
    """
    if isinstance(layout, int):
        return samples[layout - 1 : layout] if layout <= len(samples) else arrange_channels(samples, "mono")
    if layout == "mono" and len(samples) == 2:
        return (samples[:1] + samples[1:]) * np.float32(0.5)  # the same as the mean, in a tenth of its time
    if layout == "mono":
        return samples.mean(axis=0, keepdims=True, dtype=np.float32) if len(samples) > 1 else samples
    both = samples[:2] if len(samples) > 1 else np.repeat(samples, 2, axis=0)
    if layout == "stereo":
        return both
    return np.stack([both[0] + both[1], both[0] - both[1]]) * np.float32(0.5)
