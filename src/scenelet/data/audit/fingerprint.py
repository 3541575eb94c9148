"""Audio fingerprints, and the search for recordings that share a stretch of sound.

A fingerprint has a code of 32 bits per frame. The bits are the signs of how the difference between adjacent bands
changes with time (Haitsma and Kalker, A highly robust audio fingerprinting system, 2002). Loudness, equalizers, codecs
and resampling change few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Codes = NDArray[np.uint32]
"""Codes (frames,), one every `HOP_SAMPLES / SAMPLE_RATE` s; 0 for frames that are far quieter than the loudest one."""

SAMPLE_RATE = 8000
"""Sample rate in Hz. The bands of a telephone are enough."""
FRAME_SAMPLES, HOP_SAMPLES = 2048, 128
"""Length and distance of frames. They overlap by 15/16, so a shift by half a hop changes few bits."""
BANDS_HZ = np.geomspace(300.0, 3400.0, 34)
"""Edges of 33 bands."""
MAX_SECONDS = 20.0
"""Maximum duration of a recording that is used, from its start."""
AUDIBLE_DB = 32.0
"""Range below the loudest frame. Added noise would hide quieter frames."""
BATCH_FRAMES = 512

MAX_EQUAL_CODES = 32
"""Maximum number of entries of one code that are compared. A code with hundreds of entries is not informative."""
MAX_OFFSETS = 6
"""Maximum number of offsets that are tried per pair: those with the most equal codes."""
MIN_FRAMES = 6
"""Minimum number of frames that are audible in both recordings."""
CHANCE = 0.5
"""Fraction of bits that differ between unrelated sounds."""
MAX_DIFFERING = 0.32
"""Maximum fraction of bits that may differ, if there are many frames."""
MIN_Z_SCORE = 4.5
"""Minimum distance from chance in standard deviations, if there are few frames."""
INDEPENDENT_BITS = 0.6 * 32
"""Number of independent bits in a frame. Frames at a distance of `FRAME_SAMPLES` are independent."""


@dataclass(frozen=True)
class Match:
    """Two recordings that share a stretch of sound.

    Attributes:
        first, second: their indices in the searched list, first < second.
        seconds: the duration that is audible in both.
        delay_seconds: time by which the sound occurs later in `second`.
        differing: the fraction of bits that differ, 0 for copies.
    """

    first: int
    second: int
    seconds: float
    delay_seconds: float
    differing: float


def audio_fingerprint(samples: NDArray[np.float32]) -> Codes:
    """Compute the codes of mono samples (n,) at `SAMPLE_RATE`. There are no codes for less than two frames.

    >>> audio_fingerprint(np.zeros(16000, np.float32)).shape
    (109,)
    """
    if len(samples) < FRAME_SAMPLES + HOP_SAMPLES:
        return np.zeros(0, np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    edges = np.round(BANDS_HZ * FRAME_SAMPLES / SAMPLE_RATE).astype(int)
    energies = []
    for start in range(0, len(frames), BATCH_FRAMES):
        spectrum = fft.rfft(frames[start : start + BATCH_FRAMES] * window)
        power = spectrum.real**2 + spectrum.imag**2
        energies.append(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1))
    energy = np.concatenate(energies).astype(np.float64)  # (frames, 33)
    slope = np.diff(energy, axis=1)
    bits = np.diff(slope, axis=0) > 0
    codes: Codes = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    total = energy.sum(axis=1)
    is_audible = np.minimum(total[1:], total[:-1]) > total.max() * 10 ** (-AUDIBLE_DB / 10)
    codes[~is_audible] = 0
    return codes


def find_matches(recordings: Sequence[Codes]) -> list[Match]:
    """Find every pair of recordings that share a stretch of sound, ordered by index.

    Recordings with an equal code are compared frame by frame. The search needs about 30 bytes of memory per frame.

    >>> noise = np.random.default_rng(0).standard_normal(24000).astype(np.float32)
    >>> [match] = find_matches([audio_fingerprint(noise), audio_fingerprint(0.1 * noise[8000:])])
    >>> match.first, match.second, round(match.delay_seconds, 1)
    (0, 1, -1.0)
    """
    found = []
    for first, second, offsets in _candidate_pairs(recordings):
        best = min((_compare(recordings[first], recordings[second], offset) for offset in offsets), key=lambda c: c[0])
        if best[0] <= 0:
            _, frames, offset, differing = best
            frames_per_second = SAMPLE_RATE / HOP_SAMPLES
            found.append(Match(first, second, frames / frames_per_second, offset / frames_per_second, differing))
    return found


def _compare(first: Codes, second: Codes, offset: int) -> tuple[float, int, int, float]:
    """Compare two recordings at one offset.

    Return by how much the differing fraction exceeds its limit, the frames audible in both, the offset, the fraction.
    """
    a, b = first[max(0, -offset) :], second[max(0, offset) :]
    n = min(len(a), len(b))
    both = (a[:n] != 0) & (b[:n] != 0)
    frames = int(np.count_nonzero(both))
    if frames < MIN_FRAMES:
        return CHANCE, frames, offset, CHANCE
    differing = int(np.bitwise_count(a[:n][both] ^ b[:n][both]).sum()) / (32 * frames)
    independent = INDEPENDENT_BITS * (1 + frames * HOP_SAMPLES / FRAME_SAMPLES)
    max_differing = min(MAX_DIFFERING, CHANCE - MIN_Z_SCORE * CHANCE / np.sqrt(independent))
    return differing - max_differing, frames, offset, differing


def _candidate_pairs(recordings: Sequence[Codes]) -> list[tuple[int, int, list[int]]]:
    """Return pairs of recordings with an equal code, and the offsets to try, most equal codes first."""
    lengths = [len(codes) for codes in recordings]
    if sum(lengths) == 0:
        return []
    codes = np.concatenate(recordings)
    longest = max(lengths)
    clip = np.repeat(np.arange(len(recordings), dtype=np.int32), lengths)
    frame = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
    order = np.argsort(codes, kind="stable").astype(np.int32)
    order = order[codes[order] != 0]
    codes = codes[order]
    pairs = [np.zeros(0, np.int64)]
    for step in range(1, MAX_EQUAL_CODES):
        equal = np.flatnonzero(codes[step:] == codes[:-step])
        if len(equal) == 0:
            break
        a, b = order[equal], order[equal + step]
        differ = clip[a] != clip[b]
        a, b = a[differ], b[differ]
        # stable sorting keeps the order of recordings among equal codes, so `a` is the earlier one
        # one integer for both clips and the offset, since a search for unique columns is 25 times slower
        both = clip[a].astype(np.int64) * len(recordings) + clip[b]
        pairs.append(both * 2 * longest + frame[b] - frame[a] + longest)
    keys, votes = np.unique(np.concatenate(pairs), return_counts=True)
    if len(votes) == 0:
        return []
    both, offset = keys // (2 * longest), keys % (2 * longest) - longest
    first, second = both // len(recordings), both % len(recordings)
    ranked = np.lexsort((offset, -votes, both))
    starts = np.flatnonzero(np.r_[True, np.diff(both[ranked]) != 0])
    groups = np.split(ranked, starts[1:])
    return [(int(first[g[0]]), int(second[g[0]]), [int(o) for o in offset[g[:MAX_OFFSETS]]]) for g in groups]
