"""What a recording sounds like moment by moment, in 32 bits each, and which recordings share a stretch of sound.

The bits are the signs of how the difference between neighbouring bands changes with time (Haitsma and Kalker, A highly
robust audio fingerprinting system, 2002). Loudness, equalizers, codecs and resampling change few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Codes = NDArray[np.uint32]
"""(frames,), one code each `HOP / SAMPLE_RATE` s; 0 where next to nothing is heard."""

SAMPLE_RATE = 8000  # Hz; what a telephone keeps is enough
FRAME, HOP = 2048, 128  # long frames that overlap by 15/16: half a hop of shift changes few bits
BANDS_HZ = np.geomspace(300.0, 3400.0, 34)  # edges of 33 bands
MAX_SECONDS = 20.0  # of a recording that are looked at
AUDIBLE_DB = 32.0  # below the loudest frame; what is quieter, added noise replaces
FRAMES_AT_ONCE = 512

MAX_ALIKE = 32  # entries of one code that are compared with each other; a code of hundreds says nothing
NONE = np.zeros((3, 0), np.int32)
OFFSETS_TRIED = 6  # of a pair, those with the most equal codes
MIN_FRAMES = 6  # heard in both at once
CHANCE = 0.5  # share of bits that differ between sounds that have nothing in common
DIFFERING = 0.32  # share of bits that may differ, where there are many frames
DEVIATIONS = 4.5  # fewer bits than chance by so many standard deviations, where there are few
INDEPENDENT = 0.6 * 32  # bits of a frame that say something of their own; frames do so each `FRAME / HOP`


@dataclass(frozen=True)
class Match:
    """Two recordings with the same sound in them.

    Attributes:
        one, other: their places in the list that was searched, one < other.
        seconds: how much of it is heard in both.
        later: s by which the sound comes later in `other`.
        differing: share of the bits that differ, 0 for copies.
    """

    one: int
    other: int
    seconds: float
    later: float
    differing: float


def audio_fingerprint(samples: NDArray[np.float32]) -> Codes:
    """Mono samples (n,) at `SAMPLE_RATE` -> codes; none for less than two frames of sound."""
    if len(samples) < FRAME + HOP:
        return np.zeros(0, np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    window = np.hanning(FRAME).astype(np.float32)
    edges = np.round(BANDS_HZ * FRAME / SAMPLE_RATE).astype(int)
    parts = []
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        spectrum = fft.rfft(frames[start : start + FRAMES_AT_ONCE] * window)
        power = spectrum.real**2 + spectrum.imag**2
        parts.append(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1))
    energy = np.concatenate(parts).astype(np.float64)  # (frames, 33)
    slope = np.diff(energy, axis=1)
    bits = np.diff(slope, axis=0) > 0
    codes: Codes = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    total = energy.sum(axis=1)
    heard = np.minimum(total[1:], total[:-1]) > total.max() * 10 ** (-AUDIBLE_DB / 10)
    codes[~heard] = 0
    return codes


def find_matches(recordings: Sequence[Codes]) -> list[Match]:
    """Every pair of recordings that share a stretch of sound, ordered by place.

    Recordings meet where they have one equal code, and are then compared frame by frame. Memory is about 30 bytes for
    each frame of all of them.
    """
    found = []
    for one, other, offsets in _candidate_pairs(recordings):
        best = min((_compare(recordings[one], recordings[other], offset) for offset in offsets), key=lambda c: c[0])
        if best[0] <= 0:
            _, frames, offset, differing = best
            second = SAMPLE_RATE / HOP
            found.append(Match(one, other, frames / second, offset / second, differing))
    return found


def _compare(one: Codes, other: Codes, offset: int) -> tuple[float, int, int, float]:
    """(how far above the limit, frames heard in both, offset, share of bits that differ)."""
    a, b = one[max(0, -offset) :], other[max(0, offset) :]
    n = min(len(a), len(b))
    both = (a[:n] != 0) & (b[:n] != 0)
    frames = int(np.count_nonzero(both))
    if frames < MIN_FRAMES:
        return CHANCE, frames, offset, CHANCE
    differing = int(np.bitwise_count(a[:n][both] ^ b[:n][both]).sum()) / (32 * frames)
    independent = INDEPENDENT * (1 + frames * HOP / FRAME)
    limit = min(DIFFERING, CHANCE - DEVIATIONS * CHANCE / np.sqrt(independent))
    return differing - limit, frames, offset, differing


def _candidate_pairs(recordings: Sequence[Codes]) -> list[tuple[int, int, list[int]]]:
    """(one, other, offsets) of the recordings that have an equal code, the offsets with most of them first."""
    lengths = [len(codes) for codes in recordings]
    if sum(lengths) == 0:
        return []
    codes = np.concatenate(recordings)
    clip = np.repeat(np.arange(len(recordings), dtype=np.int32), lengths)
    place = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
    order = np.argsort(codes, kind="stable").astype(np.int32)
    order = order[codes[order] != 0]
    codes = codes[order]
    pairs = []
    for step in range(1, MAX_ALIKE):
        alike = np.flatnonzero(codes[step:] == codes[:-step])
        if len(alike) == 0:
            break
        first, second = order[alike], order[alike + step]
        apart = clip[first] != clip[second]
        first, second = first[apart], second[apart]
        # stable sorting keeps the order of recordings among equal codes, so first is the earlier one
        pairs.append(np.stack([clip[first], clip[second], place[second] - place[first]]))
    keys, votes = np.unique(np.concatenate([NONE, *pairs], axis=1), axis=1, return_counts=True)
    if len(votes) == 0:
        return []
    one, other, offset = keys
    ranked = np.lexsort((offset, -votes, other, one))
    starts = np.flatnonzero(np.r_[True, np.any(np.diff(keys[:2, ranked], axis=1) != 0, axis=0)])
    groups = np.split(ranked, starts[1:])
    return [(int(one[g[0]]), int(other[g[0]]), [int(o) for o in offset[g[:OFFSETS_TRIED]]]) for g in groups]
