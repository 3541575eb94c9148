"""Impulse responses for training on waveforms: synthetic rooms and microphones, or recorded ones."""

import functools
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.io import find_recordings, read
from scenelet.config import RunConfig
from scenelet.config.training_settings import MIN_RT60_SECONDS
from scenelet.errors import AudioError, UsageError

Response = NDArray[np.float32]
"""Impulse response (taps,); the direct sound is at its start."""

SYNTHETIC_RESPONSES = 64
MAX_DIRECT_DB = 15.0
"""Maximum level of the direct sound above that of a synthetic room's reverberation. The minimum is 0."""
MICROPHONE_TAPS, MICROPHONE_KNOTS, MIN_KNOT_HZ = 1024, 6, 50.0
ONSET_SECONDS = 0.001
"""Time before the maximum of a recorded response that is kept. What is earlier is a delay."""


def impulse_responses(config: RunConfig) -> tuple[Response, ...]:
    """Return the impulse responses of a run: the recorded ones that the settings name, or synthetic ones by its seed.

    They have the sample rate of the features, and at most the length of a window.

    Raises:
        UsageError: `waveform.impulse_responses` is no folder with recordings.
        AudioError: a file cannot be read, or is silent.
    """
    settings, rate = config.waveform, config.features.sample_rate
    if not settings.response_probability:
        return ()
    max_samples = config.window.samples(rate)
    if settings.impulse_responses is not None:
        return _read_folder(settings.impulse_responses, rate, max_samples)
    rng = np.random.default_rng([config.seed, 4])
    kind = rate, settings.max_rt60_seconds, settings.microphone_db, max_samples
    return tuple(synthetic_response(rng, *kind) for _ in range(SYNTHETIC_RESPONSES))


def synthetic_response(
    rng: np.random.Generator, sample_rate: int, max_rt60_seconds: float, microphone_db: float, max_samples: int
) -> Response:
    """Draw a room and a microphone, and return their response, of at most `max_samples`.

    There is no room if `max_rt60_seconds` is 0, and no microphone if `microphone_db` is 0.

    >>> response = synthetic_response(np.random.default_rng(0), 8000, 0.0, 6.0, 8000)
    >>> response.shape  # the taps of a microphone
    (1024,)
    """
    if not max_rt60_seconds:
        return microphone(rng, sample_rate, microphone_db)[:max_samples]
    rt60 = rng.uniform(MIN_RT60_SECONDS, max_rt60_seconds)
    response = room(rng, sample_rate, rt60, rng.uniform(0, MAX_DIRECT_DB))
    if microphone_db:
        filtered = microphone(rng, sample_rate, microphone_db)
        size = fft.next_fast_len(len(response) + len(filtered) - 1, real=True)
        response = fft.irfft(fft.rfft(response, size) * fft.rfft(filtered, size), size)
    return response[:max_samples]


def room(rng: np.random.Generator, sample_rate: int, rt60_seconds: float, direct_db: float) -> Response:
    """Return the response of a room: an impulse, and noise that decays by 60 dB in `rt60_seconds`.

    The energy of the impulse is 1, `direct_db` above that of the noise.

    >>> response = room(np.random.default_rng(0), 8000, rt60_seconds=0.5, direct_db=10.0)
    >>> response.shape, round(float(np.square(response[1:]).sum()), 3)
    ((4001,), 0.1)
    """
    times = np.arange(max(1, round(rt60_seconds * sample_rate)), dtype=np.float32) / np.float32(sample_rate)
    tail = np.exp(times * np.float32(-3 * np.log(10) / rt60_seconds))
    tail *= rng.standard_normal(len(times), dtype=np.float32)
    tail *= np.float32(10 ** (-direct_db / 20)) / np.sqrt(np.square(tail).sum())
    return np.concatenate([np.ones(1, np.float32), tail])


def microphone(rng: np.random.Generator, sample_rate: int, max_db: float) -> Response:
    """Return the minimum-phase response of a microphone with a random smooth frequency response.

    Gains from [-max_db, max_db] are drawn at frequencies that are equally spaced on a logarithmic scale, and joined by
    straight lines.
    """
    hertz = fft.rfftfreq(MICROPHONE_TAPS, 1 / sample_rate)
    knots = np.geomspace(MIN_KNOT_HZ, sample_rate / 2, MICROPHONE_KNOTS)
    gains = rng.uniform(-max_db, max_db, size=MICROPHONE_KNOTS)
    return minimum_phase(np.interp(np.log(np.maximum(hertz, MIN_KNOT_HZ)), np.log(knots), gains))


def minimum_phase(gains_db: NDArray[np.float64]) -> Response:
    """Return the minimum-phase response (2 (bins - 1),) with these gains (bins,) in dB, by its cepstrum.

    >>> minimum_phase(np.zeros(5)).round(6).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    cepstrum = fft.irfft(gains_db * (np.log(10) / 20))
    half = len(cepstrum) // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    response: Response = fft.irfft(np.exp(fft.rfft(cepstrum))).astype(np.float32)
    return response


@functools.lru_cache(1)  # the check before training and the training itself read the same folder
def _read_folder(folder: str, sample_rate: int, max_samples: int) -> tuple[Response, ...]:
    paths = find_recordings(folder) if Path(folder).is_dir() else []
    if not paths:
        reason = "holds no recordings" if Path(folder).is_dir() else "is not a folder"
        raise UsageError(
            f"{folder}: {reason}; set waveform.impulse_responses to a folder of impulse responses, or leave it out for"
            " synthetic ones"
        )
    return tuple(_read_response(path, sample_rate)[:max_samples] for path in paths)


def _read_response(path: Path, sample_rate: int) -> Response:
    """Read the first channel of an impulse response, from its direct sound on."""
    samples, rate = read(path)
    response: Response = np.asarray(soxr.resample(samples[0], rate, sample_rate), np.float32)
    peak = int(np.abs(response).argmax()) if len(response) else 0
    if not response[peak : peak + 1].any():
        raise AudioError(f"{path}: is silent; remove it from the folder of impulse responses")
    return response[max(0, peak - round(ONSET_SECONDS * sample_rate)) :]
