"""Audio fingerprints, and the search for recordings that share a stretch of sound.

A fingerprint has a code of 32 bits per frame. The bits are the signs of how the difference between adjacent bands
changes with time (Haitsma and Kalker, A highly robust audio fingerprinting system, 2002). Loudness, equalizers, codecs
and resampling change few of them.
"""

import functools
from collections.abc import Iterator, Sequence
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
MAX_PAIRS, MAX_COMPARED_FRAMES = 1 << 20, 1 << 21
"""Maximum numbers of equal codes and of frames that are held in memory at once."""


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
    window = _window()
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


@functools.cache
def _window() -> NDArray[np.float32]:
    return np.hanning(FRAME_SAMPLES).astype(np.float32)


def find_matches(recordings: Sequence[Codes]) -> list[Match]:
    """Find every pair of recordings that share a stretch of sound, ordered by index.

    Recordings with an equal code are compared frame by frame. The search needs about 50 bytes of memory per frame, and
    at most 200 MB more.

    >>> noise = np.random.default_rng(0).standard_normal(24000).astype(np.float32)
    >>> [match] = find_matches([audio_fingerprint(noise), audio_fingerprint(0.1 * noise[8000:])])
    >>> match.first, match.second, round(match.delay_seconds, 1)
    (0, 1, -1.0)
    """
    lengths = np.array([len(codes) for codes in recordings], np.int64)
    if lengths.sum() == 0:
        return []
    codes = np.concatenate(recordings)
    frames_per_second = SAMPLE_RATE / HOP_SAMPLES
    found = []
    for candidates in _candidate_pairs(codes, lengths):
        for first, second, frames, offset, differing in _best_offsets(codes, lengths, candidates):
            found.append(Match(first, second, frames / frames_per_second, offset / frames_per_second, differing))
    return found


def _best_offsets(
    codes: Codes, lengths: NDArray[np.int64], candidates: NDArray[np.int64]
) -> Iterator[tuple[int, int, int, int, float]]:
    """Yield first, second, the frames audible in both, the offset and the differing fraction of pairs that match.

    Args:
        codes: codes of all recordings, one after the other.
        lengths: number of codes of each recording.
        candidates: (n, 3) first and second recording, and an offset to try; the rows of a pair follow each other.
    """
    if len(candidates) == 0:
        return
    first, second, offset = candidates.T
    size = np.minimum(lengths[first] - np.maximum(0, -offset), lengths[second] - np.maximum(0, offset))
    parts = np.split(candidates, np.flatnonzero(np.diff(np.cumsum(size) // MAX_COMPARED_FRAMES)) + 1)
    compared = zip(*(_compare(codes, lengths, part) for part in parts), strict=True)
    excess, frames, differing = map(np.concatenate, compared)
    starts = np.flatnonzero(np.r_[True, np.any(np.diff(candidates[:, :2], axis=0) != 0, axis=1)])
    ranks = np.arange(len(candidates)) - np.repeat(starts, np.diff(np.r_[starts, len(candidates)]))
    best = np.lexsort((ranks, excess, second, first))[starts]  # the earliest of equal ones
    for row in best[excess[best] <= 0].tolist():
        yield int(first[row]), int(second[row]), int(frames[row]), int(offset[row]), float(differing[row])


def _compare(
    codes: Codes, lengths: NDArray[np.int64], candidates: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Compare pairs of recordings, each at one offset; arguments as `_best_offsets`.

    Return by how much the differing fraction exceeds its limit, the frames audible in both, and the fraction.
    """
    first, second, offset = candidates.T
    skipped = np.maximum(0, -offset), np.maximum(0, offset)
    size = np.minimum(lengths[first] - skipped[0], lengths[second] - skipped[1])
    before = np.cumsum(size) - size
    frame = np.arange(size.sum()) - np.repeat(before, size)
    starts = np.cumsum(lengths) - lengths
    a = codes[np.repeat(starts[first] + skipped[0], size) + frame]
    b = codes[np.repeat(starts[second] + skipped[1], size) + frame]
    both = (a != 0) & (b != 0)
    frames = np.add.reduceat(both, before, dtype=np.int64)
    bits = np.add.reduceat(np.bitwise_count(a ^ b) * both, before, dtype=np.int64)
    differing = np.where(frames < MIN_FRAMES, CHANCE, bits / (32 * np.maximum(frames, 1)))
    independent = INDEPENDENT_BITS * (1 + frames * HOP_SAMPLES / FRAME_SAMPLES)
    max_differing = np.minimum(MAX_DIFFERING, CHANCE - MIN_Z_SCORE * CHANCE / np.sqrt(independent))
    return np.where(frames < MIN_FRAMES, CHANCE, differing - max_differing), frames, differing


def _candidate_pairs(codes: Codes, lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of recordings with an equal code, and the offsets to try: (n, 3), in the order of the pairs.

    The offset with the most equal codes is the first one of its pair. Arguments are those of `_best_offsets`.
    """
    clip = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    frame = (np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)).astype(np.int32)
    order = np.argsort(codes, kind="stable").astype(np.int32)
    order = order[codes[order] != 0]
    ends = np.r_[np.flatnonzero(np.diff(codes[order])) + 1, len(order)] if len(order) else np.zeros(0, int)
    position = np.arange(len(order))
    # stable sorting keeps the order of recordings among equal codes, so each one is compared with later ones
    later = np.minimum(np.repeat(ends, np.diff(np.r_[0, ends])) - position - 1, MAX_EQUAL_CODES - 1)
    # the positions of each recording, in turn, so that those of a few recordings are searched at once
    position = position[later > 0]
    position = position[np.argsort(clip[order[position]], kind="stable")]
    per_clip = np.bincount(clip[order[position]], later[position], len(lengths))
    batch = (np.cumsum(per_clip) // MAX_PAIRS)[clip[order[position]]]
    for positions in np.split(position, np.flatnonzero(np.diff(batch)) + 1):
        yield _vote(order, clip, frame, positions, later[positions], len(lengths), int(lengths.max()))


def _vote(
    order: NDArray[np.int32],
    clip: NDArray[np.int32],
    frame: NDArray[np.int32],
    positions: NDArray[np.int64],
    later: NDArray[np.int64],
    recordings: int,
    longest: int,
) -> NDArray[np.int64]:
    """Return `_candidate_pairs` whose first recording is at these positions of `order`."""
    step = np.arange(1, later.sum() + 1) - np.repeat(np.cumsum(later) - later, later)
    position = np.repeat(positions, later)
    a, b = order[position], order[position + step]
    differ = clip[a] != clip[b]
    a, b = a[differ], b[differ]
    # one integer for both clips and the offset, since a search for unique columns is 25 times slower
    both = clip[a].astype(np.int64) * recordings + clip[b]
    keys, votes = np.unique(both * 2 * longest + frame[b] - frame[a] + longest, return_counts=True)
    both, offset = keys // (2 * longest), keys % (2 * longest) - longest
    ranked = np.lexsort((offset, -votes, both))
    both, offset = both[ranked], offset[ranked]
    starts = np.flatnonzero(np.r_[True, np.diff(both) != 0][: len(both)])
    rank = np.arange(len(both)) - np.repeat(starts, np.diff(np.r_[starts, len(both)]))
    tried = rank < MAX_OFFSETS
    return np.stack([both // recordings, both % recordings, offset], axis=1)[tried]
