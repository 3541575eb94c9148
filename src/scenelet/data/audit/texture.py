"""Sound texture: a few hundred statistics of a window's log-mel bands.

The statistics are means, standard deviations, modulations and correlations of bands, after McDermott and Simoncelli,
Sound texture perception via statistics of the auditory periphery (2011). They depend neither on loudness nor on
the time at which a sound occurs.
"""

import functools
import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig, WindowConfig

FEATURES = FeatureConfig(sample_rate=22050, channels="mono", n_fft=1024, hop_length=512, n_mels=64)
WINDOW = WindowConfig(seconds=5.0, pad_mode="repeat")
GROUPED_BANDS = 16
"""Number of bands of the modulations, each of four mel bands."""
MODULATION_RATES = 8
"""Number of modulation rates, from one cycle per window to half the frame rate."""
CEPSTRA = 20
"""Number of cepstral coefficients whose correlations are used."""
KIND_LENGTHS = (64, 64, 64, GROUPED_BANDS * MODULATION_RATES, CEPSTRA * (CEPSTRA - 1) // 2)
"""Length of each kind: means, standard deviations, standard deviations of the change, modulations, correlations."""
LENGTH = sum(KIND_LENGTHS)


_log_mel = functools.cache(lambda: LogMel(FEATURES))


def texture(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the texture (`LENGTH`,) of a window (1, n) at the sample rate of `FEATURES`.

    >>> texture(np.zeros((1, 5 * FEATURES.sample_rate), np.float32)).shape
    (510,)
    """
    bands = _log_mel()(samples)[0].astype(np.float64)  # (64, frames)
    mean = bands.mean(axis=1)
    statistics = [mean - mean.mean(), bands.std(axis=1), np.diff(bands, axis=1).std(axis=1)]
    statistics += [_modulations(bands), _correlations(bands)]
    return np.concatenate(statistics).astype(np.float32)


def _modulations(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the log power of each grouped band at each modulation rate: (bands * rates,)."""
    frames = bands.shape[1]
    grouped = bands.reshape(GROUPED_BANDS, -1, frames).mean(axis=1)
    window, edges = _modulation_filters(frames)
    spectrum = fft.rfft((grouped - grouped.mean(axis=1, keepdims=True)) * window)
    power = np.abs(spectrum) ** 2
    by_rate = [power[:, low:high].mean(axis=1) for low, high in itertools.pairwise(edges)]
    return np.log10(np.stack(by_rate, axis=1) + 1e-3).ravel()


@functools.cache
def _modulation_filters(frames: int) -> tuple[NDArray[np.float64], list[int]]:
    """Return the window (frames,), and the first bins of the modulation rates and one past the last."""
    edges = np.round(np.geomspace(1, frames // 2, MODULATION_RATES + 1)).astype(int)
    return np.hanning(frames), edges.tolist()


def _correlations(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the correlation over time of each pair of the first cepstral coefficients: (pairs,)."""
    cepstra = fft.dct(bands, axis=0, norm="ortho")[:CEPSTRA]
    cepstra -= cepstra.mean(axis=1, keepdims=True)
    size = np.sqrt((cepstra**2).sum(axis=1)) + 1e-6
    pairs = np.triu_indices(CEPSTRA, 1)
    return np.asarray((cepstra @ cepstra.T / np.outer(size, size))[pairs])
