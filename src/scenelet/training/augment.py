"""Augmentations: random changes of single clips of a training batch that leave the labels as they are.

An augmentation is called as `augmentation(x, rng)`. `x` has the shape (batch, channel, frequency, time) and holds
log-mel values in dB; `rng` is a `numpy.random.Generator`. It returns a new tensor on the device of `x`. Each sample
gets a random draw of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.config import AugmentConfig

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]

MIN_FILTER_KNOTS, MAX_FILTER_KNOTS = 3, 6


@dataclass(frozen=True)
class TimeRoll:
    """Circular shift in time by up to `frames` frames in either direction.

    >>> x = torch.arange(5.0).reshape(1, 1, 1, 5)
    >>> TimeRoll(2)(x, np.random.default_rng(0)).flatten().tolist()
    [3.0, 4.0, 0.0, 1.0, 2.0]
    """

    frames: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return shifted copies of `x`, with the same shape."""
        shifts = rng.integers(-self.frames, self.frames + 1, size=(len(x), 1))
        return _take_frames(x, np.arange(x.shape[3]) - shifts)


@dataclass(frozen=True)
class TimeStretch:
    """Change of speed by a factor drawn from [1 - max_change, 1 + max_change].

    The window keeps its length: frames that are missing at its end are taken from its start. Each output frame is a
    copy of the nearest input frame, because an average of two frames would smooth noise.
    """

    max_change: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return stretched copies of `x`, with the same shape."""
        speeds = rng.uniform(1 - self.max_change, 1 + self.max_change, size=(len(x), 1))
        return _take_frames(x, (np.arange(x.shape[3]) * speeds).round().astype(np.int64))


@dataclass(frozen=True)
class Crop:
    """Random run of `frames` neighboring frames. The start of the window follows its end."""

    frames: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return crops of the shape (batch, channel, frequency, frames), or `x` itself if it is not longer."""
        if x.shape[3] <= self.frames:
            return x
        return _take_frames(x, np.arange(self.frames) + rng.integers(x.shape[3], size=(len(x), 1)))


@dataclass(frozen=True)
class FrequencyShift:
    """Shift by up to `bands` mel bands up or down. The band at the edge is repeated."""

    bands: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return shifted copies of `x`, with the same shape."""
        shifts = rng.integers(-self.bands, self.bands + 1, size=(len(x), 1))
        source = torch.from_numpy((np.arange(x.shape[2]) - shifts).clip(0, x.shape[2] - 1)).to(x.device)
        return x.gather(2, source[:, None, :, None].expand(x.shape))


@dataclass(frozen=True)
class RandomGain:
    """Gain drawn from [-db, db] and added to every band."""

    db: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return copies of `x` with the gain added, with the same shape."""
        return x + x.new_tensor(rng.uniform(-self.db, self.db, size=(len(x), 1, 1, 1)))


@dataclass(frozen=True)
class FilterAugment:
    """Random frequency response, like that of another microphone or room.

    Gains from [-db, db] are drawn at a few random bands and joined by straight lines. This is the linear type of
    FilterAugment (Nam, Kim and Park 2022).
    """

    db: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return copies of `x` with the response added, with the same shape."""
        bands = x.shape[2]
        curves = np.empty((len(x), bands))
        for curve in curves:
            inner = rng.uniform(0, bands - 1, size=rng.integers(MIN_FILTER_KNOTS, MAX_FILTER_KNOTS + 1) - 2)
            knots = np.sort(np.concatenate([[0, bands - 1], inner]))
            curve[:] = np.interp(np.arange(bands), knots, rng.uniform(-self.db, self.db, size=len(knots)))
        return x + x.new_tensor(curves[:, None, :, None])


@dataclass(frozen=True)
class SpecAugmentMask:
    """Mask of up to `max_width` neighboring bands (`axis` 2) or frames (`axis` 3).

    The masked values become the mean of the sample. The width is drawn from 0 to `max_width`, then the position, as in
    SpecAugment (Park et al. 2019).
    """

    axis: int
    max_width: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return masked copies of `x`, with the same shape."""
        length = x.shape[self.axis]
        width = rng.integers(min(self.max_width, length) + 1, size=(len(x), 1))
        first = rng.integers(length - width + 1)
        index = np.arange(length)
        masked = torch.from_numpy((index >= first) & (index < first + width)).to(x.device)
        masked = masked[:, None, :, None] if self.axis == 2 else masked[:, None, None, :]
        return torch.where(masked, x.mean((1, 2, 3), keepdim=True), x)


def build_augmentations(config: AugmentConfig) -> list[Augmentation]:
    """Build the augmentations that the settings enable, in the order in which they are applied.

    >>> build_augmentations(AugmentConfig(time_roll=10, gain_db=6))
    [TimeRoll(frames=10), RandomGain(db=6.0)]
    """
    candidates: list[tuple[float, Augmentation]] = [
        (config.time_roll, TimeRoll(config.time_roll)),
        (config.time_stretch, TimeStretch(config.time_stretch)),
        (config.crop_frames, Crop(config.crop_frames)),
        (config.frequency_shift, FrequencyShift(config.frequency_shift)),
        (config.gain_db, RandomGain(config.gain_db)),
        (config.filter_augment_db, FilterAugment(config.filter_augment_db)),
        (config.frequency_mask, SpecAugmentMask(2, config.frequency_mask)),
        (config.time_mask, SpecAugmentMask(3, config.time_mask)),
    ]
    return [augmentation for amount, augmentation in candidates if amount]


def _take_frames(x: Tensor, frames: NDArray[np.int64]) -> Tensor:
    """Return the frames (batch, n) of each sample, counted modulo its length."""
    source = torch.from_numpy(frames % x.shape[3]).to(x.device)
    return x.gather(3, source[:, None, None].expand(*x.shape[:3], source.shape[1]))
