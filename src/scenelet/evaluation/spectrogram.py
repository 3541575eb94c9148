"""A window of a recording as a page shows it: the network's spectrogram with axes, and what spoke for the answer."""

import base64
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.display import hz_to_row, levels, shown_range
from scenelet.audio.log_mel import Features
from scenelet.audio.windows import sound_span, windows
from scenelet.config import FeatureConfig
from scenelet.inference.classifier import Classifier
from scenelet.inference.occlusion import OcclusionMap, occlusion_map

TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
TICK_ROOM = 0.085  # of the height, between two marks
CHANNELS = {"mono": ("",), "stereo": ("left", "right"), "mid-side": ("mid", "side")}
Span = tuple[float, float]


def shown_windows(
    classifier: Classifier, path: Path, indices: Sequence[int], answer: int, share: int
) -> Iterator[dict[str, Any]]:
    """Windows of a recording, in their order, as the listening page's template takes them.

    Args:
        classifier: the model.
        path: of the recording.
        indices: which windows.
        answer: index of the label that is asked about.
        share: levels that one window may have on the page; of larger ones neighbours are averaged.

    Raises:
        AudioError: the recording cannot be read.
    """
    features, window = classifier.model.features, classifier.model.window
    seen = zip(classifier.log_mel_windows(path), _spans(classifier, path), strict=False)
    wanted = [(i, *found) for i, found in enumerate(itertools.islice(seen, max(indices) + 1)) if i in indices]
    floor, top = shown_range([log_mel for _, log_mel, _ in wanted], features.top_db)
    for index, log_mel, span in wanted:
        start = index * window.hop_samples(features.sample_rate) / features.sample_rate
        repeated = span[1] < 0.999 * window.seconds
        found = occlusion_map(classifier, log_mel, answer, grid=False)
        frames = log_mel.shape[2]
        pooled = _pooled(log_mel, share)
        yield {
            "index": index,
            "start": start,
            "seconds": window.seconds,
            "span": span,
            "repeated": repeated,
            "frame": features.hop_length / features.sample_rate,
            "frames": frames,
            "size": pooled.shape[1:],
            "pooled": pooled.shape != log_mel.shape,
            "channels": [
                {"name": name, "levels": base64.b64encode(channel.tobytes()).decode()}
                for name, channel in zip(CHANNELS[features.channels], levels(pooled, floor, top), strict=True)
            ],
            "ticks_hz": ticks_hz(features),
            "ticks_s": _ticks_s(0.0 if repeated else start, window.seconds, frames, features),
            "top_db": round(top),
            "floor_db": round(floor),
            **_spoke(found),
        }


def _spans(classifier: Classifier, path: Path) -> Iterator[Span]:
    """Of each window, where the sound in it begins and how long it is, s: what its silent ends are filled with."""
    features, window = classifier.model.features, classifier.model.window
    if window.pad_mode == "zeros":
        yield from itertools.repeat((0.0, window.seconds))  # without end
    min_samples = window.min_sound_samples(features.sample_rate)
    unfilled = window.model_copy(update={"pad_mode": "zeros"})
    for cut in windows(path, features, unfilled):
        first, last = sound_span(cut, window.silence_threshold_db, min_samples)
        yield first / features.sample_rate, (last - first) / features.sample_rate


def _pooled(log_mel: Features, share: int) -> Features:
    """(channels, n_mels, frames), or at most `share` numbers of it: of neighbours the mean."""
    channels, bands, frames = log_mel.shape
    steps = [1, 1]
    while channels * -(-bands // steps[0]) * -(-frames // steps[1]) > share and steps[0] < bands:
        finer = 1 if steps[0] == steps[1] else 0  # frames first, of which there are more
        steps[finer] *= 2
    for axis, step in zip((1, 2), steps, strict=True):
        starts = np.arange(0, log_mel.shape[axis], step)
        sums = np.add.reduceat(log_mel, starts, axis=axis)
        counts = np.diff([*starts, log_mel.shape[axis]])
        log_mel = (sums / (counts[:, None] if axis == 1 else counts)).astype(np.float32)
    return log_mel


def ticks_hz(features: FeatureConfig) -> list[dict[str, Any]]:
    """Frequencies to mark, as shares of the height from below."""
    ticks: list[dict[str, Any]] = []
    for hz in TICKS_HZ:
        if not features.fmin_hz <= hz <= features.top_hz:
            continue
        place = (hz_to_row(features, hz) + 0.5) / features.n_mels
        if TICK_ROOM / 3 < place < 1 - TICK_ROOM / 3 and (not ticks or place - ticks[-1]["place"] > TICK_ROOM):
            ticks.append({"place": place, "text": hertz(hz)})
    return ticks


def hertz(hz: float) -> str:
    """`"250 Hz"`, `"2 kHz"`, `"12.5 kHz"`."""
    return f"{hz:.0f} Hz" if hz < 1000 else f"{hz / 1000:.3g} kHz"


def _ticks_s(start: float, seconds: float, frames: int, features: FeatureConfig) -> list[dict[str, Any]]:
    """Times to mark, from `start` on, as shares of the width."""
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if seconds / s <= 6), 200)
    first = int(np.ceil(start / step - 1e-6))
    ticks = []
    for k in range(first, int((start + seconds) / step + 1e-6) + 1):
        place = ((k * step - start) * features.sample_rate / features.hop_length + 0.5) / frames
        ticks.append({"place": min(place, 1.0), "text": f"{k * step:.6g}"})
    return ticks


def _spoke(found: OcclusionMap) -> dict[str, Any]:
    """The map as bars, in shares of the largest, and how far the lowest one goes."""
    hz, seconds = found.edges_hz, found.edges_seconds

    def bars(values: NDArray[np.float64], edges: NDArray[np.int64], names: list[str]) -> list[dict[str, Any]]:
        whole, largest = float(edges[-1]), max(float(np.abs(values).max()), 1e-9)
        return [
            {
                "from": edges[k] / whole,
                "size": (edges[k + 1] - edges[k]) / whole,
                "value": float(values[k]),
                "low": min(0.0, float(values[k]) / largest),
                "high": max(0.0, float(values[k]) / largest),
                "name": name,
            }
            for k, name in enumerate(names)
        ]

    bands = [f"{hertz(hz[k])} to {hertz(hz[k + 1])}" for k in range(len(hz) - 1)]
    moments = [f"{seconds[k]:.2f} to {seconds[k + 1]:.2f} s" for k in range(len(seconds) - 1)]
    beside, below = bars(found.by_band, found.rows, bands), bars(found.by_time, found.frames, moments)
    return {
        "bands": beside,
        "bands_below": max(0.02, -min(bar["low"] for bar in beside)),
        "moments": below,
        "moments_below": max(0.02, -min(bar["low"] for bar in below)),
        "log_odds": found.log_odds,
    }
