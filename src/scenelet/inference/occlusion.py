"""Occlusion maps: the parts of a window that support an answer. Parts are replaced by their mean in training."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.display import row_to_hz
from scenelet.audio.log_mel import Features
from scenelet.inference.classifier import Classifier
from scenelet.model.ops import INPUT, ScaleShift
from scenelet.model.scene_model import SceneModel

DEFAULT_BANDS, DEFAULT_MOMENTS = 16, 12
MIN_PROBABILITY = 1e-45  # the smallest float32 above zero, which replaces a probability of zero

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """Decrease of a label's log-odds for each replaced part of a window. A negative decrease is an increase.

    Attributes:
        log_odds: ln p - ln(sum of the other labels' p) for the unchanged window.
        by_band: (bands,) decrease if these mel bands are replaced in all frames, lowest bands first.
        by_time: (moments,) decrease if these frames are replaced in all bands.
        grid: (bands, moments) decrease if these bands are replaced in these frames, or None if not asked for.
        rows: (bands + 1,) first mel band of each part, and the number of mel bands.
        frames: (moments + 1,) first frame of each part, and the number of frames.
        edges_hz: (bands + 1,) frequencies midway between the outermost mel bands of two parts.
        edges_seconds: (moments + 1,) times midway between the outermost frames of two parts, from the window's start.
    """

    log_odds: float
    by_band: Floats
    by_time: Floats
    grid: Floats | None
    rows: NDArray[np.int64]
    frames: NDArray[np.int64]
    edges_hz: Floats
    edges_seconds: Floats


def occlusion_map(
    classifier: Classifier,
    log_mel: Features,
    label_index: int,
    *,
    bands: int = DEFAULT_BANDS,
    moments: int = DEFAULT_MOMENTS,
    grid: bool = True,
) -> OcclusionMap:
    """Occlude a window part by part (Zeiler and Fergus, 2014) and measure the decrease of a label's log-odds.

    A part is replaced, in all channels, by the mean of each of its mel bands in training, see `mean_levels`. The map
    describes the network, not the sound. If parts support an answer only together, replacing one of them shows nothing.

    The network runs 1 + bands + moments times, and bands * moments times more for the grid. By default these are 29 or
    221 runs.

    Args:
        classifier: the model.
        log_mel: (channels, n_mels, frames) of one window, dB, as `Classifier.log_mel_windows` yields it.
        label_index: index of the label in the model's labels.
        bands: number of parts of equal width in mel. There are at most as many as mel bands.
        moments: number of parts of equal length. There are at most as many as frames.
        grid: if True, compute `OcclusionMap.grid`.

    Raises:
        UsageError: the model takes another shape.
        ValueError: the label does not exist, or a number of parts is below 1.

    >>> import scenelet
    >>> from scenelet.model.pretrained import example
    >>> classifier = scenelet.load("esc10")
    >>> log_mel = next(classifier.log_mel_windows(example("esc10")))
    >>> found = occlusion_map(classifier, log_mel, classifier.labels.index("dog"), bands=4, moments=5, grid=False)
    >>> found.edges_hz.round(), int(found.by_time.argmax())
    (array([   31.,  1016.,  2804.,  7739., 21361.]), 4)
    """
    if not 0 <= label_index < len(classifier.labels):
        raise ValueError(f"label_index is {label_index}, of {len(classifier.labels)} labels")
    if bands < 1 or moments < 1:
        raise ValueError(f"bands is {bands} and moments {moments}; give 1 or more")
    model, means = classifier.model, mean_levels(classifier.model, log_mel)
    unchanged = log_odds(classifier.probabilities(log_mel[None])[0], label_index)
    rows, frames = _edges(log_mel.shape[1], bands), _edges(log_mel.shape[2], moments)

    def decrease(band: slice, moment: slice) -> float:
        occluded = log_mel.copy()
        occluded[:, band, moment] = means[:, band]
        return unchanged - log_odds(classifier.probabilities(occluded[None])[0], label_index)

    everything = slice(None)
    decreases = [decrease(band, moment) for band in _slices(rows) for moment in _slices(frames)] if grid else None
    return OcclusionMap(
        log_odds=unchanged,
        by_band=np.array([decrease(band, everything) for band in _slices(rows)]),
        by_time=np.array([decrease(everything, moment) for moment in _slices(frames)]),
        grid=None if decreases is None else np.reshape(decreases, (len(rows) - 1, len(frames) - 1)),
        rows=rows,
        frames=frames,
        edges_hz=row_to_hz(model.features, rows - 0.5),
        edges_seconds=_edge_seconds(model, frames),
    )


def _edge_seconds(model: SceneModel, frames: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the times in seconds at which parts begin and end that are given in frames."""
    times = (frames - 0.5) * model.features.hop_length / model.features.sample_rate
    return np.clip(times, 0.0, model.window.seconds)


def mean_levels(model: SceneModel, log_mel: Features) -> Features:
    """Return the mean of each mel band in training, in dB (channels, n_mels, 1).

    The first node of scenelet's networks standardizes each mel band, x * scale + shift, so the mean is -shift / scale.
    If a model starts otherwise, or a scale is zero, the band's mean over time in this window is used instead.
    """
    own: Features = log_mel.mean(axis=2, keepdims=True, dtype=np.float64).astype(np.float32)
    first = model.nodes[0]
    if not isinstance(first, ScaleShift) or first.input != INPUT or len(model.arrays[first.scale]) != log_mel.shape[1]:
        return own
    scale, shift = model.arrays[first.scale].T[:, :, None], model.arrays[first.shift].T[:, :, None]
    known = np.broadcast_to(scale != 0, own.shape)
    return np.divide(-shift, scale, out=own, where=known)


def log_odds(probabilities: NDArray[np.floating], label_index: int) -> float:
    """Return ln p - ln(sum of the others' p) for probabilities (classes,). It is exact even if p rounds to 1.

    >>> round(log_odds(np.float32([0.75, 0.25]), 0), 3)
    1.099
    """
    exact = probabilities.astype(np.float64)
    others = float(np.delete(exact, label_index).sum())
    return float(np.log(max(exact[label_index], MIN_PROBABILITY)) - np.log(max(others, MIN_PROBABILITY)))


def _edges(count: int, parts: int) -> NDArray[np.int64]:
    """Divide `count` items into parts of nearly equal size. Return the start of each part, and `count`."""
    parts = min(parts, count)
    return np.arange(parts + 1) * count // parts


def _slices(edges: NDArray[np.int64]) -> Iterator[slice]:
    for start, stop in itertools.pairwise(edges.tolist()):
        yield slice(start, stop)
