"""Spectrograms of the listening page: a window as the network receives it, with axes and an occlusion map."""

import base64
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from scenelet.audio.display import format_hz, levels, shown_range, ticks_hz
from scenelet.audio.io import AudioSource
from scenelet.audio.log_mel import Features
from scenelet.audio.windows import sound_span, windows
from scenelet.config import FeatureConfig
from scenelet.inference.classifier import Classifier
from scenelet.inference.occlusion import OcclusionMap, occlusion_map

TICK_STEPS_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
MAX_TICKS = 6  # on the time axis
MIN_BAR_SPACE = 0.02  # below the axis of the bars, as a fraction of the largest bar
CHANNELS: dict[str | int, tuple[str, ...]] = {"stereo": ("left", "right"), "mid-side": ("mid", "side")}
Span = tuple[float, float]


def spectrogram_windows(
    classifier: Classifier, recording: AudioSource, indices: Sequence[int], answer: int, max_levels: int
) -> Iterator[dict[str, Any]]:
    """Yield some windows of a recording, in the order of time, as values for the listening page's template.

    Args:
        classifier: the model.
        recording: the recording, or a part of one.
        indices: indices of the windows.
        answer: index of the label that the occlusion map explains.
        max_levels: maximum number of levels per window; neighbors are averaged in larger spectrograms.

    Raises:
        AudioError: the recording cannot be read.
    """
    features, window = classifier.model.features, classifier.model.window
    all_windows = zip(classifier.log_mel_windows(recording), _spans(classifier, recording), strict=False)
    wanted = [(i, *found) for i, found in enumerate(itertools.islice(all_windows, max(indices) + 1)) if i in indices]
    floor, top = shown_range([log_mel for _, log_mel, _ in wanted], features.top_db)
    for index, log_mel, span in wanted:
        start = index * window.hop_samples(features.sample_rate) / features.sample_rate
        repeated = span[1] < 0.999 * window.seconds
        frames, pooled = log_mel.shape[2], average_neighbors(log_mel, max_levels)
        channels = zip(CHANNELS.get(features.channels, ("",)), levels(pooled, floor, top), strict=True)
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
                {"name": name, "levels": base64.b64encode(channel.tobytes()).decode()} for name, channel in channels
            ],
            "ticks_hz": ticks_hz(features),
            "ticks_s": _ticks_s(0.0 if repeated else start, window.seconds, frames, features),
            "top_db": round(top),
            "floor_db": round(floor),
            **occlusion_bars(occlusion_map(classifier, log_mel, answer, grid=False)),
        }


def _spans(classifier: Classifier, recording: AudioSource) -> Iterator[Span]:
    """Yield begin and length of the sound in each window, in s, before silent ends are filled with repeated sound."""
    features, window = classifier.model.features, classifier.model.window
    if window.pad_mode == "zeros":
        yield from itertools.repeat((0.0, window.seconds))  # endless
    min_samples = window.min_sound_samples(features.sample_rate)
    zero_padded = window.model_copy(update={"pad_mode": "zeros"})
    for samples in windows(recording, features, zero_padded):
        first, last = sound_span(samples, window.silence_threshold_db, min_samples)
        yield first / features.sample_rate, (last - first) / features.sample_rate


def average_neighbors(log_mel: Features, max_size: int) -> Features:
    """Average neighboring bands and frames until a spectrogram has at most `max_size` values, at least one per channel.

    Args:
        log_mel: (channels, n_mels, frames) levels.
        max_size: maximum number of values.

    Returns:
        (channels, bands, frames) float32; `log_mel` itself if it is small enough.

    >>> average_neighbors(np.array([[[1.0, 3.0], [5.0, 7.0]]], np.float32), max_size=2).tolist()
    [[[2.0], [6.0]]]
    """
    channels, bands, frames = log_mel.shape
    steps = [1, 1]
    while channels * -(-bands // steps[0]) * -(-frames // steps[1]) > max_size and steps[0] < bands:
        axis = 1 if steps[0] == steps[1] else 0  # frames first, since there are more of them
        steps[axis] *= 2
    for axis, step in zip((1, 2), steps, strict=True):
        starts = np.arange(0, log_mel.shape[axis], step)
        sums = np.add.reduceat(log_mel, starts, axis=axis)
        counts = np.diff([*starts, log_mel.shape[axis]])
        log_mel = (sums / (counts[:, None] if axis == 1 else counts)).astype(np.float32)
    return log_mel


def _ticks_s(start: float, seconds: float, frames: int, features: FeatureConfig) -> list[dict[str, Any]]:
    """Choose the ticks of the time axis, which begins at `start`; positions are fractions of the width."""
    step = next((s for s in TICK_STEPS_SECONDS if seconds / s <= MAX_TICKS), TICK_STEPS_SECONDS[-1])
    ticks = []
    for k in range(int(np.ceil(start / step - 1e-6)), int((start + seconds) / step + 1e-6) + 1):
        position = ((k * step - start) * features.sample_rate / features.hop_length + 0.5) / frames
        ticks.append({"position": min(position, 1.0), "text": f"{k * step:.6g}"})
    return ticks


def occlusion_bars(occlusion: OcclusionMap) -> dict[str, Any]:
    """Convert an occlusion map to the bars next to and below a spectrogram.

    Returns:
        "bands" and "moments", lists of bars. Each bar has "from" and "size" along the axis as fractions of it,
        "low" and "high" as fractions of the largest bar, "value", "name" and "without", the probability of the answer
        without this part. "bands_below" and "moments_below" are the lengths of the lowest bars. "probability" is that
        of the answer.
    """
    band_names = [f"{format_hz(low)} to {format_hz(high)}" for low, high in itertools.pairwise(occlusion.edges_hz)]
    moment_names = [f"{first:.2f} to {last:.2f} s" for first, last in itertools.pairwise(occlusion.edges_seconds)]
    shown: dict[str, Any] = {
        "bands": _bars(occlusion.by_band, occlusion.rows, band_names, occlusion.log_odds),
        "moments": _bars(occlusion.by_time, occlusion.frames, moment_names, occlusion.log_odds),
    }
    below = {f"{axis}_below": max(MIN_BAR_SPACE, -min(bar["low"] for bar in bars)) for axis, bars in shown.items()}
    return shown | below | {"probability": float(expit(occlusion.log_odds))}


def _bars(
    values: NDArray[np.float64], edges: NDArray[np.int64], names: list[str], log_odds: float
) -> list[dict[str, Any]]:
    length, largest = float(edges[-1]), max(float(np.abs(values).max()), 1e-9)
    return [
        {
            "from": edges[k] / length,
            "size": (edges[k + 1] - edges[k]) / length,
            "value": float(values[k]),
            "without": float(expit(log_odds - values[k])),
            "low": min(0.0, float(values[k]) / largest),
            "high": max(0.0, float(values[k]) / largest),
            "name": name,
        }
        for k, name in enumerate(names)
    ]
