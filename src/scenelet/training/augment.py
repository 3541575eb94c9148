"""What is changed in one clip of a training batch, by itself: its label stays as it is.

A move is called `move(x, rng)` with x (batch, channel, frequency, time), log-mel in dB, and a
`numpy.random.Generator`; it returns a new x. Each sample is moved by its own draw.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scenelet.config import AugmentConfig

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]

FILTER_KNOTS = (3, 7)  # at least, and below: how many points a random filter's curve goes through


@dataclass(frozen=True)
class TimeRoll:
    """Shift circularly by up to `frames` either way."""

    frames: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        shifts = torch.from_numpy(rng.integers(-self.frames, self.frames + 1, size=len(x)))
        return _take_frames(x, (torch.arange(x.shape[3]) - shifts[:, None]) % x.shape[3])


@dataclass(frozen=True)
class TimeStretch:
    """Play at a speed drawn from [1 - most, 1 + most]; the window stays as long, what it lacks is taken from its start.

    The nearest frame is taken for each instant: an average of two would smooth noise, and a network would hear it.
    """

    most: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        speeds = torch.from_numpy(rng.uniform(1 - self.most, 1 + self.most, size=len(x)))
        return _take_frames(x, (torch.arange(x.shape[3]) * speeds[:, None]).round().long() % x.shape[3])


@dataclass(frozen=True)
class Crop:
    """Keep `frames` neighbouring frames from a random place; the window's end is followed by its start."""

    frames: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> (batch, channel, frequency, frames), or x where it is no longer."""
        time = x.shape[3]
        if time <= self.frames:
            return x
        first = torch.from_numpy(rng.integers(time, size=len(x)))
        return _take_frames(x, (torch.arange(self.frames) + first[:, None]) % time)


@dataclass(frozen=True)
class FrequencyShift:
    """Shift by up to `bands` mel bands up or down; the band at the edge is repeated."""

    bands: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        shifts = torch.from_numpy(rng.integers(-self.bands, self.bands + 1, size=len(x)))
        source = (torch.arange(x.shape[2]) - shifts[:, None]).clamp(0, x.shape[2] - 1)
        return x.gather(2, source[:, None, :, None].expand(x.shape))


@dataclass(frozen=True)
class RandomGain:
    """Add a gain drawn from [-db, db] to every band."""

    db: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        return x + x.new_tensor(rng.uniform(-self.db, self.db, size=(len(x), 1, 1, 1)))


@dataclass(frozen=True)
class FilterAugment:
    """Add a curve over frequency: gains from [-db, db] at a few random bands, straight lines between them.

    As in FilterAugment (Nam, Kim and Park 2022), its linear type: other microphones, other rooms.
    """

    db: float

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        bands = x.shape[2]
        curves = np.empty((len(x), bands))
        for curve in curves:
            inner = rng.uniform(0, bands - 1, size=rng.integers(*FILTER_KNOTS) - 2)
            knots = np.sort(np.concatenate([[0, bands - 1], inner]))
            curve[:] = np.interp(np.arange(bands), knots, rng.uniform(-self.db, self.db, size=len(knots)))
        return x + x.new_tensor(curves[:, None, :, None])


@dataclass(frozen=True)
class SpecAugmentMask:
    """Put the sample's mean in place of up to `widest` neighbouring bands (axis 2) or frames (axis 3).

    As in SpecAugment (Park et al. 2019); the width is drawn from 0 to `widest`, then the place.
    """

    axis: int
    widest: int

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(batch, channel, frequency, time) -> the same shape."""
        length = x.shape[self.axis]
        width = rng.integers(min(self.widest, length) + 1, size=(len(x), 1))
        first = rng.integers(length - width + 1)
        index = np.arange(length)
        masked = torch.from_numpy((index >= first) & (index < first + width))
        masked = masked[:, None, :, None] if self.axis == 2 else masked[:, None, None, :]
        return torch.where(masked, x.mean((1, 2, 3), keepdim=True), x)


def build_augmentations(config: AugmentConfig) -> list[Augmentation]:
    """The moves that the settings describe, in the order in which they are made."""
    chosen: list[tuple[float, Augmentation]] = [
        (config.time_roll, TimeRoll(config.time_roll)),
        (config.time_stretch, TimeStretch(config.time_stretch)),
        (config.crop_frames, Crop(config.crop_frames)),
        (config.frequency_shift, FrequencyShift(config.frequency_shift)),
        (config.gain_db, RandomGain(config.gain_db)),
        (config.filter_augment_db, FilterAugment(config.filter_augment_db)),
        (config.frequency_mask, SpecAugmentMask(2, config.frequency_mask)),
        (config.time_mask, SpecAugmentMask(3, config.time_mask)),
    ]
    return [move for amount, move in chosen if amount]


def _take_frames(x: Tensor, source: Tensor) -> Tensor:
    """x with the frames `source` (batch, frames) in place of its own."""
    return x.gather(3, source[:, None, None].expand(*x.shape[:3], source.shape[1]))
