"""Batches of one training epoch, drawn from labelled features."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.config import RunConfig
from scenelet.data.clips import Clip
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.augment import Augmentation, build_augmentations
from scenelet.training.device import CPU, to_device
from scenelet.training.impulse_responses import recorded_responses
from scenelet.training.mixing import NO_MIXING, Mixer, build_mixer
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.waveform_loader import WaveformLoader
from scenelet.training.window_loader import WindowLoader
from scenelet.utils.parallel import cpu_count


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of clips, with their classes."""

    features: ClipFeatures
    targets: NDArray[np.int64]  # (clips,) class indices
    classes: int
    names: tuple[str, ...] = ()  # names of the clips for error messages; empty if they are not known
    waveforms: ClipFeatures | None = None  # samples of the same windows, for training on waveforms

    def __len__(self) -> int:
        return len(self.targets)

    def class_counts(self) -> list[int]:
        """Return the number of clips of each class."""
        return [int(count) for count in np.bincount(self.targets, minlength=self.classes)]


def class_indices(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the index (clips,) of each clip's label in `labels`."""
    return np.array([labels.index(clip.label) for clip in clips], np.int64)


@dataclass(frozen=True)
class EpochBatches:
    """Batches of one epoch. All of its randomness comes from (seed, epoch).

    Each clip appears once, with one of its windows drawn at random. The last batch is left out if it has fewer clips
    than there are devices, or a single clip, because batch normalization needs two. `drop_last` leaves out any
    incomplete one, unless it is the only batch.

    The iterator yields x (batch, channels, n_mels, frames) and y (batch, classes), float32 tensors on `device`. The
    host draws and augments waveforms, and the device gathers, augments and mixes log-mel. Every device does this for
    the complete batch and then takes its slice of it, so the result does not depend on the number of devices.
    """

    clips: LabelledFeatures
    batch_size: int  # clips of a batch, on all devices together
    augmentations: Sequence[Augmentation]  # applied in this order
    mixer: Mixer  # applied after the augmentations
    seed: int  # of the run
    epoch: int  # from 0
    rank: Rank = SINGLE  # process whose slice of each batch is returned
    drop_last: bool = False
    windows: WindowLoader | None = None  # loader of the windows of `clips`; None: one for the CPU
    waveforms: WaveformLoader | None = None  # loader of augmented waveforms, which replace `windows`
    device: torch.device = CPU

    def __len__(self) -> int:
        full, rest = divmod(len(self.clips), self.batch_size)
        dropped = self.drop_last and full > 0
        return full + (rest >= max(2, self.rank.world_size) and not dropped)

    def weight(self, index: int) -> float:
        """Return the factor for the mean loss of this device's slice of batch `index`.

        It is (clips of the slice) x (devices) / (clips of the batch). With it, the mean of the losses over the devices
        is the mean over the batch, even if the slices differ in length.
        """
        count = min(self.batch_size, len(self.clips) - index * self.batch_size)
        part = self.rank.slice_of(count)
        return float((part.stop - part.start) * self.rank.world_size / count)

    def dropout_seed(self) -> int:
        """Return the seed of dropout in this epoch; it differs between devices and is independent of the batches."""
        own = [self.rank.rank] if self.rank.is_worker else []
        return int(np.random.default_rng([self.seed, self.epoch, 1, *own]).integers(1 << 31))

    def names(self, index: int) -> tuple[str, ...]:
        """Return the names of the clips of batch `index`, on all devices together."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.clips))
        batch = order[index * self.batch_size : (index + 1) * self.batch_size]
        return tuple(self.clips.names[clip] for clip in batch) if self.clips.names else ()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.clips))
        chosen = rng.integers(self.clips.features.count)  # one window of each clip
        batches = [order[index * self.batch_size : (index + 1) * self.batch_size] for index in range(len(self))]
        for x, labels in self._load(batches, chosen, rng):
            for augmentation in self.augmentations:
                x = augmentation(x, rng)
            x, y = self.mixer(x, to_device(labels, x.device), rng)
            part = self.rank.slice_of(len(x))
            yield x[part], y[part]

    def _load(
        self, batches: Sequence[NDArray[np.int64]], chosen: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
        """Yield the windows and label weights of batches of clips; `chosen` (clips,) counts the windows of a clip."""
        labels = np.eye(self.clips.classes, dtype=np.float32)[self.clips.targets]
        if self.waveforms is None:
            windows = self.windows or WindowLoader(self.clips.features)
            rows = windows.first + chosen
            yield from zip(windows.load(rows[b] for b in batches), (labels[b] for b in batches), strict=True)
            return
        rows = self.waveforms.clips.first + chosen
        rngs = rng.spawn(len(batches))  # independent of `rng`, which the main thread draws from
        draws = ((rows[b], labels[b], own) for b, own in zip(batches, rngs, strict=True))
        for x, mixed in self.waveforms.load(draws):
            yield x.to(self.device), mixed


def epoch_batches(
    clips: LabelledFeatures, config: RunConfig, first_epoch: int = 0, rank: Rank = SINGLE
) -> Callable[[int], EpochBatches]:
    """Return a function that gives the training batches of an epoch.

    Batches are mixed, as log-mel and as waveforms, in the first `mixing.epoch_fraction` of the epochs of
    `config.schedule`.

    Args:
        clips: training clips.
        config: settings of the run.
        first_epoch: number that is added to each epoch. Fine-tuning starts at the end of training, so that it draws
            other batches, and mixes them only if training mixed to its end.
        rank: process whose slice of each batch is returned.
    """
    augmentations, mixer = build_augmentations(config.augment), build_mixer(config.mixing)
    waveforms, unmixed = _waveform_loaders(clips, config)
    schedule, fraction = config.schedule, config.mixing.epoch_fraction
    mixed_epochs = np.inf if fraction == 1 else round(fraction * schedule.epochs)

    def batches(epoch: int) -> EpochBatches:
        number = first_epoch + epoch
        own, loader = (mixer, waveforms) if number < mixed_epochs else (NO_MIXING, unmixed)
        return EpochBatches(
            clips,
            schedule.batch_size,
            augmentations,
            own,
            config.seed,
            number,
            rank,
            schedule.drop_last,
            waveforms=loader,
        )

    return batches


def _waveform_loaders(
    clips: LabelledFeatures, config: RunConfig
) -> tuple[WaveformLoader, WaveformLoader] | tuple[None, None]:
    """Return the loaders of epochs that mix and of those that do not; None if training uses cached features."""
    if not config.waveform.train:
        return None, None
    assert clips.waveforms is not None  # `load_dataset` loads them
    responses, threads = recorded_responses(config), max(1, cpu_count() // config.trainer.devices)
    unmixed = config.waveform.model_copy(update={"mix_probability": 0.0})
    mixed_loader, unmixed_loader = (
        WaveformLoader(clips.waveforms, settings, config.features, responses, threads)
        for settings in (config.waveform, unmixed)
    )
    return mixed_loader, unmixed_loader
