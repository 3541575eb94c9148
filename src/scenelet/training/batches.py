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
from scenelet.training.impulse_responses import impulse_responses
from scenelet.training.mixing import NO_MIXING, Mixer, build_mixer
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.waveform_loader import WaveformLoader
from scenelet.training.window_loader import WindowLoader
from scenelet.utils.parallel import cpu_count

Loaded = tuple[Tensor, NDArray[np.float32]]
"""Windows (batch, channels, n_mels, frames) and label weights (batch, classes)."""


MEMBER = 2  # tells the generators of an ensemble's further members from the generator of dropout


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of clips, with their classes."""

    features: ClipFeatures
    targets: NDArray[np.int64]  # (clips,) class indices
    classes: int
    names: tuple[str, ...] = ()  # names of the clips for error messages; empty if they are not known
    answers: NDArray[np.float32] | None = None  # (clips, classes) probabilities by teachers, see `Distillation`
    waveforms: ClipFeatures | None = None  # samples of the same windows, for training on waveforms

    def __len__(self) -> int:
        return len(self.targets)

    def label_weights(self) -> NDArray[np.float32]:
        """Return 1 for the class of each clip and 0 for others, (clips, classes).

        The answers of teachers follow in as many columns if there are any.
        """
        labels = np.eye(self.classes, dtype=np.float32)[self.targets]
        return labels if self.answers is None else np.hstack([labels, self.answers])

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

    The iterator yields x (batch, channels, n_mels, frames) and y, float32 tensors on `device`. y holds the mixed
    `label_weights` (batch, classes), or (batch, 2 classes) with the answers of teachers. The host draws and augments
    waveforms, and the device gathers, augments and mixes log-mel. Every device does this for the complete batch and
    then takes its slice of it, so the result does not depend on the number of devices.

    Each member of an ensemble gets batches of its own, which are drawn independently. x and y list them one after the
    other. So the members differ as much as networks that are trained one by one.
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
    waveforms: Sequence[WaveformLoader] = ()  # loader of augmented waveforms for each member; they replace `windows`
    device: torch.device = CPU
    members: int = 1  # networks of the ensemble

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
        drawn = [clip for member in range(self.members) for clip in self._draw(self.epoch, member)[0][index]]
        return tuple(dict.fromkeys(self.clips.names[clip] for clip in drawn)) if self.clips.names else ()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        first, *others = (self._batches(member) for member in range(self.members))
        for batch in zip(first, *others, strict=True):
            x, y = zip(*batch, strict=True)
            yield (torch.cat(x), torch.cat(y)) if others else batch[0]

    def _batches(self, member: int) -> Iterator[tuple[Tensor, Tensor]]:
        drawn, chosen, rng = self._draw(self.epoch, member)
        batches = drawn[: len(self)]
        load = self._load_waveforms(batches, member) if self.waveforms else self._load_cached(batches, chosen)
        for x, labels in load:
            for augmentation in self.augmentations:
                x = augmentation(x, rng)
            x, y = self.mixer(x, to_device(labels, x.device), rng)
            part = self.rank.slice_of(len(x))
            yield x[part], y[part]

    def _draw(self, epoch: int, member: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], np.random.Generator]:
        """Draw a member's epoch: the clips of each batch, left-out ones included, and the window (clips,) of each clip.

        The generator that drew them is returned too, for augmentations and mixing.
        """
        rng = np.random.default_rng([self.seed, epoch, *([MEMBER, member] if member else [])])
        order = rng.permutation(len(self.clips))
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        return batches, rng.integers(self.clips.features.count), rng

    def _load_cached(self, batches: Sequence[NDArray[np.int64]], chosen: NDArray[np.int64]) -> Iterator[Loaded]:
        windows = self.windows or WindowLoader(self.clips.features)
        rows, labels = windows.first + chosen, self.clips.label_weights()
        yield from zip(windows.load(rows[b] for b in batches), (labels[b] for b in batches), strict=True)

    def _load_waveforms(self, batches: Sequence[NDArray[np.int64]], member: int) -> Iterator[Loaded]:
        """Yield the augmented windows and label weights of a member's batches of clips.

        They are computed in every `waveform.reuse_epochs`-th epoch. The epochs between find them in the loader, or
        compute them as that epoch did if the run was resumed since.
        """
        loader = self.waveforms[member]
        reuse = loader.config.reuse_epochs
        made_in = self.epoch - self.epoch % reuse
        drawn, chosen, rng = self._draw(made_in, member)
        if reuse == 1:
            drawn = drawn[: len(self)]
        rows, labels = loader.clips.first + chosen, self.clips.label_weights()
        rngs = rng.spawn(len(drawn))  # independent of the generator that draws log-mel augmentations
        loaded = loader.load(made_in, [(b, rows[b], labels[b], own) for b, own in zip(drawn, rngs, strict=True)])
        if made_in != self.epoch:
            if loader.kept_epoch != made_in:
                for _ in loaded:
                    pass
            loaded = map(loader.kept, batches)
        for index in range(len(self)):
            x, y = next(loaded)
            if index == len(self) - 1:  # no caller has to ask for the end, and later epochs need the left-out clips
                for _ in loaded:
                    pass
            yield torch.from_numpy(x).to(self.device), y


def epoch_batches(
    clips: LabelledFeatures, config: RunConfig, first_epoch: int = 0, rank: Rank = SINGLE, members: int = 1
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
        members: networks of the ensemble that is trained.
    """
    augmentations, mixer = build_augmentations(config.augment), build_mixer(config.mixing)
    waveforms = [_waveform_loader(clips, config) for _ in range(members)] if config.waveform.train else []
    unmixed = [loader.without_mixing() for loader in waveforms]
    schedule, fraction = config.schedule, config.mixing.epoch_fraction
    mixed_epochs = np.inf if fraction == 1 else round(fraction * schedule.epochs)

    def batches(epoch: int) -> EpochBatches:
        number = first_epoch + epoch
        own, loaders = (mixer, waveforms) if number < mixed_epochs else (NO_MIXING, unmixed)
        return EpochBatches(
            clips,
            schedule.batch_size,
            augmentations,
            own,
            config.seed,
            number,
            rank,
            schedule.drop_last,
            waveforms=loaders,
            members=members,
        )

    return batches


def _waveform_loader(clips: LabelledFeatures, config: RunConfig) -> WaveformLoader:
    assert clips.waveforms is not None  # `load_dataset` loads them
    threads = max(1, cpu_count() // config.trainer.devices)
    return WaveformLoader(clips.waveforms, config.waveform, config.features, impulse_responses(config), threads)
