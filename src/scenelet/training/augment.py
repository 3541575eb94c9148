"""Augmentations: random changes of single clips of a training batch that leave the labels as they are.

`x` has the shape (batch, channel, frequency, time) and holds log-mel values in dB; `rng` is a `numpy.random.Generator`.
An augmentation returns a tensor on the device of `x`, of the same shape unless it crops. It may change `x` in place.
Each sample gets a random draw of its own.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.config import AugmentConfig
from scenelet.training.device import to_device

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]

MIN_FILTER_KNOTS, MAX_FILTER_KNOTS = 3, 6


def time_roll(x: Tensor, rng: np.random.Generator, frames: int) -> Tensor:
    """Shift circularly in time by up to `frames` frames in either direction.

    >>> x = torch.arange(5.0).reshape(1, 1, 1, 5)
    >>> time_roll(x, np.random.default_rng(0), frames=2).flatten().tolist()
    [3.0, 4.0, 0.0, 1.0, 2.0]
    """
    shifts = rng.integers(-frames, frames + 1, size=(len(x), 1))
    return _take_frames(x, np.arange(x.shape[3]) - shifts)


def time_stretch(x: Tensor, rng: np.random.Generator, max_change: float) -> Tensor:
    """Change the speed by a factor drawn from [1 - max_change, 1 + max_change].

    The window keeps its length: frames that are missing at its end are taken from its start. Each output frame is a
    copy of the nearest input frame, because an average of two frames would smooth noise.
    """
    speeds = rng.uniform(1 - max_change, 1 + max_change, size=(len(x), 1))
    return _take_frames(x, (np.arange(x.shape[3]) * speeds).round().astype(np.int64))


def crop(x: Tensor, rng: np.random.Generator, frames: int) -> Tensor:
    """Take a random run of `frames` neighboring frames, or all if there are no more. The start follows the end."""
    if x.shape[3] <= frames:
        return x
    return _take_frames(x, np.arange(frames) + rng.integers(x.shape[3], size=(len(x), 1)))


def frequency_shift(x: Tensor, rng: np.random.Generator, bands: int) -> Tensor:
    """Shift by up to `bands` mel bands up or down. The band at the edge is repeated."""
    shifts = rng.integers(-bands, bands + 1, size=(len(x), 1))
    source = (np.arange(x.shape[2]) - shifts).clip(0, x.shape[2] - 1)
    # rows of frames, numbered over samples, channels and bands, because they are copied faster than single values
    rows = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1) * x.shape[2] + source[:, None]
    return x.flatten(0, 2).index_select(0, to_device(rows.ravel(), x.device)).view(x.shape)


def random_gain(x: Tensor, rng: np.random.Generator, db: float) -> Tensor:
    """Add a gain drawn from [-db, db] to every band."""
    return x.add_(to_device(rng.uniform(-db, db, size=(len(x), 1, 1, 1)), x.device, x.dtype))


def filter_augment(x: Tensor, rng: np.random.Generator, db: float) -> Tensor:
    """Add a random frequency response, like that of another microphone or room.

    Gains from [-db, db] are drawn at a few random bands and joined by straight lines. This is the linear type of
    FilterAugment (Nam, Kim and Park 2022).
    """
    bands = x.shape[2]
    curves = np.empty((len(x), bands))
    for curve in curves:
        inner = rng.uniform(0, bands - 1, size=rng.integers(MIN_FILTER_KNOTS, MAX_FILTER_KNOTS + 1) - 2)
        knots = np.sort(np.concatenate([[0, bands - 1], inner]))
        curve[:] = np.interp(np.arange(bands), knots, rng.uniform(-db, db, size=len(knots)))
    return x.add_(to_device(curves[:, None, :, None], x.device, x.dtype))


def mask(x: Tensor, rng: np.random.Generator, axis: int, max_width: int) -> Tensor:
    """Mask up to `max_width` neighboring bands (`axis` 2) or frames (`axis` 3).

    The masked values become the mean of the sample. The width is drawn from 0 to `max_width`, then the position, as in
    SpecAugment (Park et al. 2019).
    """
    length = x.shape[axis]
    width = rng.integers(min(max_width, length) + 1, size=(len(x), 1))
    first = rng.integers(length - width + 1)
    index = np.arange(length)
    masked = to_device((index >= first) & (index < first + width), x.device)
    masked = masked[:, None, :, None] if axis == 2 else masked[:, None, None, :]
    return torch.where(masked, x.mean((1, 2, 3), keepdim=True), x)


def build_augmentations(config: AugmentConfig) -> list[Augmentation]:
    """Build the augmentations that the settings enable, in the order in which they are applied.

    >>> [(each.func.__name__, each.keywords) for each in build_augmentations(AugmentConfig(time_roll=10, gain_db=6))]
    [('time_roll', {'frames': 10}), ('random_gain', {'db': 6.0})]
    """
    candidates: list[tuple[float, Augmentation]] = [
        (config.time_roll, partial(time_roll, frames=config.time_roll)),
        (config.time_stretch, partial(time_stretch, max_change=config.time_stretch)),
        (config.crop_frames, partial(crop, frames=config.crop_frames)),
        (config.frequency_shift, partial(frequency_shift, bands=config.frequency_shift)),
        (config.gain_db, partial(random_gain, db=config.gain_db)),
        (config.filter_augment_db, partial(filter_augment, db=config.filter_augment_db)),
        (config.frequency_mask, partial(mask, axis=2, max_width=config.frequency_mask)),
        (config.time_mask, partial(mask, axis=3, max_width=config.time_mask)),
    ]
    return [augmentation for amount, augmentation in candidates if amount]


def _take_frames(x: Tensor, frames: NDArray[np.int64]) -> Tensor:
    """Return the frames (batch, n) of each sample, counted modulo its length."""
    source = to_device(frames % x.shape[3], x.device)
    return x.gather(3, source[:, None, None].expand(*x.shape[:3], source.shape[1]))
