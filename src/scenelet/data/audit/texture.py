"""What a recording sounds like, as a few hundred numbers: means, deviations, modulations and correlations of its bands.

After McDermott and Simoncelli, Sound texture perception via statistics of the auditory periphery (2011), on log-mel
bands. They do not depend on loudness, nor on when in the recording something happens.
"""

import functools
import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig, WindowConfig

Texture = NDArray[np.float32]
"""(`LENGTH`,)"""

FRONT_END = FeatureConfig(sample_rate=22050, channels="mono", n_fft=1024, hop_length=512, n_mels=64)
WINDOW = WindowConfig(seconds=5.0, pad_mode="repeat")
GROUPED = 16  # bands of the modulations, each of four mel bands
RATES = 8  # of modulation, from one in a window to half the frame rate
CEPSTRA = 20  # whose correlations are taken
PARTS = (64, 64, 64, GROUPED * RATES, CEPSTRA * (CEPSTRA - 1) // 2)
"""How many numbers are of each kind: means, deviations, deviations of the change, modulations, correlations."""
LENGTH = sum(PARTS)


def texture(samples: NDArray[np.float32]) -> Texture:
    """A window (1, n) at the front end's rate -> its texture."""
    bands = _log_mel()(samples)[0].astype(np.float64)  # (64, frames)
    mean = bands.mean(axis=1)
    parts = [mean - mean.mean(), bands.std(axis=1), np.diff(bands, axis=1).std(axis=1)]
    parts += [_modulations(bands), _correlations(bands)]
    return np.concatenate(parts).astype(np.float32)


def _modulations(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log power of each grouped band at each rate of change."""
    frames = bands.shape[1]
    grouped = bands.reshape(GROUPED, -1, frames).mean(axis=1)
    spectrum = fft.rfft((grouped - grouped.mean(axis=1, keepdims=True)) * np.hanning(frames))
    power = np.abs(spectrum) ** 2
    edges = np.round(np.geomspace(1, power.shape[1] - 1, RATES + 1)).astype(int)
    by_rate = [power[:, low:high].mean(axis=1) for low, high in itertools.pairwise(edges)]
    return np.log10(np.stack(by_rate, axis=1) + 1e-3).ravel()


def _correlations(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each two of the first cepstra, over time."""
    cepstra = fft.dct(bands, axis=0, norm="ortho")[:CEPSTRA]
    cepstra -= cepstra.mean(axis=1, keepdims=True)
    size = np.sqrt((cepstra**2).sum(axis=1)) + 1e-6
    pairs = np.triu_indices(CEPSTRA, 1)
    return np.asarray((cepstra @ cepstra.T / np.outer(size, size))[pairs])


@functools.cache
def _log_mel() -> LogMel:
    return LogMel(FRONT_END)
