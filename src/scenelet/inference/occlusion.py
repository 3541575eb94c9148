"""What in a window spoke for an answer: parts of its log-mel are replaced by what is usual there, one by one."""

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

BANDS, MOMENTS = 16, 12
"""Parts of a window unless asked otherwise: 28 of them, and 192 more for the grid."""
MIN_SIDE = 1e-45  # of a float32 that is not zero: a probability of zero is taken as this

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """How much the log-odds of one label fall when a part of a window is replaced; below 0, they rise.

    Attributes:
        log_odds: ln p - ln(sum of the others' p) of the label, for the whole window.
        by_band: (bands,), lowest first: the fall when these mel bands are replaced at all times.
        by_time: (moments,): the fall when these frames are replaced in all bands.
        grid: (bands, moments): the fall when these bands are replaced in these frames; None: not asked for.
        rows: (bands + 1,) mel bands where the parts begin, and the number of all.
        frames: (moments + 1,) frames where the parts begin, and the number of all.
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
    bands: int = BANDS,
    moments: int = MOMENTS,
    grid: bool = True,
) -> OcclusionMap:
    """Occlude a window part by part (Zeiler and Fergus 2014), and see what becomes of a label's log-odds.

    A part is replaced, in every channel, by the mean that each of its mel bands had in training: see `usual_levels`.
    It is a question to the network and not to the world: parts may speak for an answer only together, and then none
    of them shows alone.

    The network runs 1 + bands + moments times, and with the grid bands * moments times more: 29 or 221 windows.

    Args:
        classifier: the model.
        log_mel: (channels, n_mels, frames) of one window, dB, as `Classifier.log_mel_windows` gives it.
        label_index: of the label that is asked about, among the model's.
        bands: parts of equal width in mel; no more than there are mel bands.
        moments: parts of equal length; no more than there are frames.
        grid: whether to fill `OcclusionMap.grid`.

    Raises:
        UsageError: another shape than the model takes.
        ValueError: no such label, or less than one part.
    """
    if not 0 <= label_index < len(classifier.labels):
        raise ValueError(f"label_index is {label_index}, of {len(classifier.labels)} labels")
    if bands < 1 or moments < 1:
        raise ValueError("there is at least one band and one moment")
    model = classifier.model
    whole = log_odds(classifier.probabilities(log_mel[None])[0], label_index)
    usual = usual_levels(model, log_mel)
    rows, frames = _edges(log_mel.shape[1], bands), _edges(log_mel.shape[2], moments)

    def fall(part: tuple[slice, slice]) -> float:
        occluded = log_mel.copy()
        occluded[:, part[0], part[1]] = usual[:, part[0]]
        return whole - log_odds(classifier.probabilities(occluded[None])[0], label_index)

    everywhere = slice(None)
    cells = [fall((band, moment)) for band in _cuts(rows) for moment in _cuts(frames)] if grid else None
    features = model.features
    times = (frames - 0.5) * features.hop_length / features.sample_rate
    return OcclusionMap(
        log_odds=whole,
        by_band=np.array([fall((band, everywhere)) for band in _cuts(rows)]),
        by_time=np.array([fall((everywhere, moment)) for moment in _cuts(frames)]),
        grid=None if cells is None else np.reshape(cells, (len(rows) - 1, len(frames) - 1)),
        rows=rows,
        frames=frames,
        edges_hz=row_to_hz(features, rows - 0.5),
        edges_seconds=np.clip(times, 0.0, model.window.seconds),
    )


def usual_levels(model: SceneModel, log_mel: Features) -> Features:
    """(channels, n_mels, 1): what each mel band was in training on average, dB.

    A network of scenelet's begins by standardizing each mel band, x * scale + shift, so that mean is -shift / scale.
    Where a model begins otherwise, or a scale is zero, it is the mean over time of the band in this very window.
    """
    own: Features = log_mel.mean(axis=2, keepdims=True, dtype=np.float64).astype(np.float32)
    first = model.nodes[0]
    if not isinstance(first, ScaleShift) or first.input != INPUT or len(model.arrays[first.scale]) != log_mel.shape[1]:
        return own
    scale, shift = model.arrays[first.scale].T[:, :, None], model.arrays[first.shift].T[:, :, None]
    known = np.broadcast_to(scale != 0, own.shape)
    return np.divide(-shift, scale, out=own, where=known)


def log_odds(probabilities: NDArray[np.floating], label_index: int) -> float:
    """ln p - ln(sum of the others' p), of probabilities (classes,); it holds where p is 1 in every digit."""
    shares = probabilities.astype(np.float64)
    others = float(np.delete(shares, label_index).sum())
    return float(np.log(max(shares[label_index], MIN_SIDE)) - np.log(max(others, MIN_SIDE)))


def _edges(count: int, parts: int) -> NDArray[np.int64]:
    """Where `parts` parts of `count` begin, as equal as they can be, and `count`."""
    parts = min(parts, count)
    return np.arange(parts + 1) * count // parts


def _cuts(edges: NDArray[np.int64]) -> Iterator[slice]:
    for start, stop in itertools.pairwise(edges.tolist()):
        yield slice(start, stop)
