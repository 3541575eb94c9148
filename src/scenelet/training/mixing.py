"""Batch mixers: two clips become one, and their labels with them.

A mixer is called `mixer(x, y, rng)` with x (batch, channel, frequency, time), y (batch, classes)
of label weights, NumPy arrays or tensors, and a `numpy.random.Generator`; it returns new (x, y)
of the same kind. Sample i is mixed with sample `order[i]` of a random permutation.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scenelet.config import MixingConfig

Position = Literal["center", "start", "wrap"]
Mixer = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]


class FreqMix:
    """Keep a band of frequencies of one clip, take the rest from another (the paper, section 3.1).

    lam ~ Beta(alpha, alpha), r_f = F lam, r_y ~ U(0, F). The kept band is, by `position`:
    "center": [r_y - r_f/2, r_y + r_f/2) clipped to [0, F); "start": [r_y, r_y + r_f) clipped;
    "wrap": [r_y, r_y + r_f) modulo F. The label's weight is always the share of bands really kept.

    Args:
        alpha: of the Beta distribution; 1 is uniform.
        position: where the band lies.
        bands: how many bands a mask has; each has its own r_y and a width of r_f / bands.
        per_sample: draw a mask for each sample, not one for the batch.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        position: Position = "center",
        bands: int = 1,
        per_sample: bool = False,
    ) -> None:
        self.alpha, self.position, self.bands, self.per_sample = alpha, position, bands, per_sample

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """(x, y) -> x_hat = M x_A + (1 - M) x_B, y_hat = mean(M) y_A + (1 - mean(M)) y_B."""
        batch, _, frequencies, _ = x.shape
        order = rng.permutation(batch)
        masks = np.zeros((batch if self.per_sample else 1, frequencies), bool)
        for mask in masks:
            width = frequencies * rng.beta(self.alpha, self.alpha) / self.bands
            for _ in range(self.bands):
                mask |= band_mask(frequencies, rng.uniform(0, frequencies), width, self.position)
        return _blend(x, y, order, masks[:, None, :, None], masks.mean(axis=1))


def band_mask(frequencies: int, place: float, width: float, position: Position) -> NDArray[np.bool_]:
    """(frequencies,) True where a band's index lies in the interval that FreqMix keeps."""
    index = np.arange(frequencies)
    if position == "wrap":
        kept: NDArray[np.bool_] = (index - place) % frequencies < width
        return kept
    low = place - width / 2 if position == "center" else place
    return (index >= low) & (index < low + width)


class Mixup:
    """x_hat = lam x_A + (1 - lam) x_B with lam ~ Beta(alpha, alpha) per sample (Zhang et al. 2018).

    `domain="power"` adds the powers in place of their decibels, as the air does, each clip first brought to its peak's
    level: x_hat = p + 10 log10(lam 10^((x_A - p_A) / 10) + (1 - lam) 10^((x_B - p_B) / 10)) with p_A, p_B the
    clips' maxima and p = lam p_A + (1 - lam) p_B. It is near to mixing waveforms (between-class learning,
    Tokozume et al. 2018).
    """

    def __init__(self, alpha: float = 0.3, domain: Literal["decibels", "power"] = "decibels") -> None:
        self.alpha, self.domain = alpha, domain

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """(x, y) -> mixed (x, y)."""
        order = rng.permutation(len(x))
        lam = rng.beta(self.alpha, self.alpha, size=len(x))
        if self.domain == "decibels":
            return _blend(x, y, order, lam[:, None, None, None], lam)
        peaks = x.reshape(len(x), -1).max(1)
        peaks = (peaks if isinstance(x, np.ndarray) else peaks.values)[:, None, None, None]
        level, y = _blend(peaks, y, order, lam[:, None, None, None], lam)
        power, _ = _blend(10 ** ((x - peaks) / 10), y, order, lam[:, None, None, None], lam)
        log10 = np.log10 if isinstance(x, np.ndarray) else torch.log10
        return level + 10 * log10(power), y


class CutMix:
    """Paste a box in time and frequency of another clip (Yun et al. 2019).

    The box's area is 1 - lam with lam ~ Beta(alpha, alpha), its center uniform, clipped to the
    edges; the label's weight is the area really kept. One box per batch.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """(x, y) -> mixed (x, y)."""
        frequencies, frames = x.shape[2:]
        order = rng.permutation(len(x))
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        rows = band_mask(frequencies, rng.uniform(0, frequencies), frequencies * side, "center")
        columns = band_mask(frames, rng.uniform(0, frames), frames * side, "center")
        kept = ~(rows[:, None] & columns[None, :])
        return _blend(x, y, order, kept[None, None], np.array([kept.mean()]))


class RandomChoice:
    """One of several mixers, drawn with equal chances for each batch."""

    def __init__(self, mixers: Sequence[Mixer]) -> None:
        self.mixers = list(mixers)

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """(x, y) -> mixed (x, y)."""
        return self.mixers[rng.integers(len(self.mixers))](x, y, rng)


class Compose:
    """Several mixers, one after the other; none at all leaves the batch as it is."""

    def __init__(self, mixers: Sequence[Mixer]) -> None:
        self.mixers = list(mixers)

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """(x, y) -> mixed (x, y)."""
        for mixer in self.mixers:
            x, y = mixer(x, y, rng)
        return x, y


NO_MIXING = Compose([])


def build_mixer(config: MixingConfig) -> Mixer:
    """The mixer that the settings describe."""
    mixers: list[Mixer] = []
    if config.freqmix:
        mixers.append(
            FreqMix(config.freqmix_alpha, config.freqmix_position, config.freqmix_bands, config.freqmix_per_sample)
        )
    if config.mixup:
        mixers.append(Mixup(config.mixup_alpha, config.mixup_domain))
    if config.cutmix:
        mixers.append(CutMix(config.cutmix_alpha))
    if config.combine == "none" or not mixers:
        return NO_MIXING
    return RandomChoice(mixers) if config.combine == "one_of" else Compose(mixers)


def _blend(x: Any, y: Any, order: NDArray[np.int64], kept: NDArray[Any], share: NDArray[Any]) -> tuple[Any, Any]:
    """kept x + (1 - kept) x[order], and the same for labels with weight `share` (batch,) or (1,)."""
    kept_x, share_y = _like(x, kept), _like(y, share[:, None])
    return kept_x * x + (1 - kept_x) * x[order], share_y * y + (1 - share_y) * y[order]


def _like(x: Any, values: NDArray[Any]) -> Any:
    return values.astype(x.dtype) if isinstance(x, np.ndarray) else x.new_tensor(values)
