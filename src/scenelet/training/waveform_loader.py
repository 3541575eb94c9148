"""Augmented waveforms of clips, turned into log-mel by threads while the network trains on earlier batches."""

import copy
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from scenelet.audio.io import Samples
from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig, WaveformConfig
from scenelet.data.feature_cache import ClipFeatures, Windows
from scenelet.training import waveform_augment as augment
from scenelet.training.impulse_responses import Response
from scenelet.utils.parallel import cpu_count, map_threads

Labels = NDArray[np.float32]
"""Label weights (batch, classes)."""
Draw = tuple[NDArray[np.int64], NDArray[np.int64], Labels, np.random.Generator]
"""Clips and window numbers of a batch, their labels, and the batch's generator."""

NOISE_WINDOWS = 4
"""Windows of each kind of noise that are kept. Added noise starts anywhere in them, so no two starts are the same."""
MAX_SPECTRA = 64
"""Maximum number of spectra of impulse responses that are kept."""


class WaveformLoader:
    """Loader of augmented waveforms as log-mel, by the `LogMel` of prediction.

    The augmentations of a clip are applied in this order: change of speed, of pitch, circular shift, mixing with a clip
    of another class in the batch, impulse response, noise, gain. Each batch has a generator of its own, so results do
    not depend on the number of threads.

    Augmenting costs more than reading features. With `reuse_epochs`, several epochs use its results, as in data echoing
    (Choi et al. 2019).

    Args:
        clips: rows (channels, samples), see `scenelet.data.feature_cache.load_waveforms`.
        config: augmentations.
        features: log-mel.
        responses: impulse responses, which `response_probability` above 0 needs.
        threads: number of threads, each of which computes a batch; None: one per CPU.
        unmixed: class whose clips are neither mixed nor mixed into others, or None.

    >>> tones = np.sin(np.outer([0.1, 0.2], np.arange(4000))).astype(np.float16)[:, None]
    >>> clips = ClipFeatures(tones, first=np.array([0, 1]), count=np.array([1, 1]))
    >>> features = FeatureConfig(sample_rate=8000, channels="mono", n_mels=64)
    >>> loader = WaveformLoader(clips, WaveformConfig(train=True, mix_probability=1), features)
    >>> rng = np.random.default_rng(0)
    >>> [(x, y)] = loader.load(0, [(np.array([0, 1]), clips.first, np.eye(2, dtype=np.float32), rng)])
    >>> x.shape, (100 * y).round().astype(int).tolist()
    ((2, 1, 64, 8), [[27, 73], [98, 2]])
    """

    def __init__(
        self,
        clips: ClipFeatures,
        config: WaveformConfig,
        features: FeatureConfig,
        responses: Sequence[Response] = (),
        threads: int | None = None,
        unmixed: int | None = None,
    ) -> None:
        self.unmixed = -1 if unmixed is None else unmixed
        self.clips, self.config, self.responses = clips, config, responses
        self.sample_rate, self.threads = features.sample_rate, threads or cpu_count()
        self.samples = clips.values.shape[2]
        self.kept_epoch: int | None = None
        self._kept: tuple[Windows, Labels] | None = None
        self._log_mel = LogMel(features)
        self._noise = noise_bank(NOISE_WINDOWS * self.samples) if config.noise_probability else None
        self._spectrum = functools.lru_cache(MAX_SPECTRA)(
            lambda number: augment.response_spectrum(responses[number], self.samples)
        )

    def without_mixing(self) -> "WaveformLoader":
        """Return a loader that does not mix clips, and is the same otherwise."""
        loader = copy.copy(self)
        loader.config = self.config.model_copy(update={"mix_probability": 0.0})
        return loader

    def load(self, epoch: int, batches: Sequence[Draw]) -> Iterator[tuple[NDArray[np.float32], Labels]]:
        """Yield x (n, channels, n_mels, frames) and the label weights (n, classes) of each batch of an epoch.

        The batches hold each number of a clip once. If several epochs use them, `kept` returns them afterwards, as
        float16.
        """
        self.kept_epoch = None
        # PyTorch converts float16 much faster than NumPy
        read = ((torch.from_numpy(self.clips.values[rows]).float().numpy(), y, rng) for _, rows, y, rng in batches)
        augmented = map_threads(self._augment_batch, read, self.threads)
        for (clips, *_), (x, y) in zip(batches, augmented, strict=True):
            if self.config.reuse_epochs > 1:
                self._keep(clips, x, y, sum(len(each) for each, *_ in batches))
            yield x, y
        self.kept_epoch = epoch

    def kept(self, clips: NDArray[np.int64]) -> tuple[NDArray[np.float32], Labels]:
        """Return x (n, channels, n_mels, frames) and the label weights of clips (n,) in the epoch `kept_epoch`."""
        assert self._kept is not None
        x, y = self._kept
        return torch.from_numpy(x[clips]).float().numpy(), y[clips]

    def _keep(self, clips: NDArray[np.int64], x: NDArray[np.float32], y: Labels, count: int) -> None:
        if self._kept is None:
            self._kept = np.empty((count, *x.shape[1:]), np.float16), np.empty((count, y.shape[1]), np.float32)
        self._kept[0][clips], self._kept[1][clips] = x, y

    def _augment_batch(self, batch: tuple[Samples, Labels, np.random.Generator]) -> tuple[NDArray[np.float32], Labels]:
        waveforms, labels = self.augment(*batch)
        return np.stack([self._log_mel(waveform) for waveform in waveforms]), labels

    def augment(self, x: Samples, labels: Labels, rng: np.random.Generator) -> tuple[list[Samples], Labels]:
        """Augment waveforms (n, channels, samples), and return them and their label weights (n, classes)."""
        clean = [self._change_clip(clip, rng) for clip in x]
        mixed, labels = self._mix(clean, labels, rng) if self.config.mix_probability else (clean, labels)
        return [self._record(clip, rng) for clip in mixed], labels

    def _change_clip(self, x: Samples, rng: np.random.Generator) -> Samples:
        """Change speed and pitch of x (channels, n), and shift it."""
        config, n = self.config, x.shape[1]
        if config.speed:
            x = augment.fit_length(augment.change_speed(x, rng.uniform(1 - config.speed, 1 + config.speed)), n)
        if config.pitch_semitones and rng.random() < config.pitch_probability:
            x = augment.shift_pitch(x, rng.uniform(-1, 1) * config.pitch_semitones, self.sample_rate)
        if config.shift_seconds:
            limit = round(config.shift_seconds * self.sample_rate)
            x = np.roll(x, int(rng.integers(-limit, limit + 1)), axis=1)
        return x

    def _mix(self, clean: list[Samples], labels: Labels, rng: np.random.Generator) -> tuple[list[Samples], Labels]:
        """Mix clips (channels, n) with clips of other classes in the batch. Without any, they stay as they are."""
        classes, mixed, mixed_labels = labels.argmax(1), list(clean), labels.copy()
        levels = [augment.level_db(x, self.sample_rate) for x in clean]
        for clip, x in enumerate(clean):
            others = np.flatnonzero((classes != classes[clip]) & (classes != self.unmixed))
            if classes[clip] == self.unmixed:
                continue
            if len(others) and rng.random() < self.config.mix_probability:
                other, weight = int(rng.choice(others)), float(rng.random())
                mixed[clip] = augment.mix_between_classes(x, clean[other], weight, levels[clip], levels[other])
                mixed_labels[clip] = weight * labels[clip] + (1 - weight) * labels[other]
        return mixed, mixed_labels

    def _record(self, x: Samples, rng: np.random.Generator) -> Samples:
        """Add to x (channels, n) what a recording adds: room, microphone, noise and gain."""
        config, n = self.config, x.shape[1]
        if rng.random() < config.response_probability:
            x = augment.convolve(x, self._spectrum(int(rng.integers(len(self.responses)))))
        if self._noise is not None and rng.random() < config.noise_probability:
            kind = self._noise[rng.integers(len(self._noise))]
            starts = rng.integers(len(kind) - n, size=len(x))
            noise = np.stack([kind[start : start + n] for start in starts])
            x = augment.add_noise(x, noise, rng.uniform(config.min_snr_db, config.max_snr_db))
        if config.gain_db:
            x = x * np.float32(10 ** (rng.uniform(-config.gain_db, config.gain_db) / 20))
        return x


@functools.lru_cache(1)
def noise_bank(n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return n samples of white and of pink noise, from a fixed seed: copying is faster than drawing."""
    white = np.random.default_rng(0).standard_normal(n, dtype=np.float32)
    spectrum = fft.rfft(white)
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum), dtype=np.float32), 1))
    spectrum[0] = 0
    pink = fft.irfft(spectrum, n)
    return white, pink / np.sqrt(np.square(pink).mean())
