"""Background under clips: other sounds go on while a clip is heard, as they do in a long recording."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.audio.log_mel import POWER_FLOOR
from scenelet.config import AugmentConfig, RunConfig
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.device import to_device
from scenelet.training.window_loader import WindowLoader

SILENT_POWER = 2 * POWER_FLOOR
"""Mean power below which background is digital silence."""


@dataclass(frozen=True)
class Background:
    """Windows of background, which are added under some clips of a batch.

    The clip is heard in a random part of its window, and the background in all of it.
    """

    features: ClipFeatures  # of all training clips
    own: NDArray[np.int64]  # (n,) the clips of background
    config: AugmentConfig

    def add(self, x: Tensor, others: NDArray[np.bool_], windows: WindowLoader, rng: np.random.Generator) -> Tensor:
        """Add background under random ones of the clips of a batch.

        Args:
            x: (batch, channels, n_mels, frames) log-mel, dB.
            others: (batch,) the clips that are not background themselves.
            windows: loader of `features`, onto the device of `x`.
            rng: generator of all draws.
        """
        chosen = np.flatnonzero(others & (rng.random(len(x)) < self.config.background_probability))
        if not len(chosen):
            return x
        clips = rng.choice(self.own, len(chosen))
        rows = windows.first[clips] + rng.integers(self.features.count[clips])
        (sounds,) = windows.load([rows])
        snr = rng.uniform(self.config.background_min_snr_db, self.config.background_max_snr_db, len(chosen))
        # a crop could leave out all of a part
        heard = draw_parts(
            x.shape[3], len(chosen), 1 if self.config.crop_frames else self.config.background_min_part, rng
        )
        own = to_device(chosen, x.device)
        x[own] = add_background(x[own], sounds, snr, heard)
        return x


def build_background(
    features: ClipFeatures, targets: NDArray[np.int64], background: int | None, config: RunConfig
) -> Background | None:
    """Build the background that is added under other clips, or None if there is none or none is wanted."""
    if background is None or not config.augment.background_probability:
        return None
    return Background(features, np.flatnonzero(targets == background), config.augment)


def add_background(x: Tensor, sounds: Tensor, snr_db: NDArray[np.float64], heard: NDArray[np.bool_]) -> Tensor:
    """Add the powers of clips and of background.

    The level of a clip is its mean power over channels, bands and the frames where it is heard, and that of the
    background its mean power over all frames. The background gets the gain that puts it `snr_db` below the clip. Silent
    background stays silent. No value is below the floor of log-mel, `POWER_FLOOR`.

    Args:
        x: (n, channels, n_mels, frames) log-mel of the clips, dB.
        sounds: log-mel of the background, of the same shape.
        snr_db: (n,) level of each clip above its background, dB.
        heard: (n, frames) the frames where the clip is heard.

    >>> x, sounds = torch.full((1, 1, 1, 3), -20.0), torch.full((1, 1, 1, 3), -50.0)
    >>> heard = np.array([[False, True, True]])
    >>> add_background(x, sounds, np.array([10.0]), heard).flatten().round().tolist()
    [-30.0, -20.0, -20.0]
    """
    part = to_device(heard, x.device, x.dtype)[:, None, None, :]
    power, below = 10 ** (x / 10) * part, 10 ** (sounds / 10)
    bands = x.shape[1] * x.shape[2]
    level = power.sum((1, 2, 3)) / (bands * part.sum((1, 2, 3)))
    loudness = below.mean((1, 2, 3))
    gain = level / loudness / 10 ** (to_device(snr_db, x.device, x.dtype) / 10)
    gain = torch.where(loudness > SILENT_POWER, gain, 0)
    return 10 * torch.log10((power + gain[:, None, None, None] * below).clamp(min=POWER_FLOOR))


def draw_parts(frames: int, count: int, min_part: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the frames (count, frames) where each clip is heard: a run of neighbors, at least `min_part` of all."""
    widths = np.rint(frames * rng.uniform(min_part, 1, (count, 1))).astype(np.int64).clip(1)
    first = rng.integers(frames - widths + 1)
    index = np.arange(frames)
    heard: NDArray[np.bool_] = (index >= first) & (index < first + widths)
    return heard
