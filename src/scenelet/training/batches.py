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
from scenelet.training.background import Background, build_background
from scenelet.training.device import CPU, to_device
from scenelet.training.impulse_responses import impulse_responses
from scenelet.training.mixing import NO_MIXING, Batch, Mixer, build_mixer
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.waveform_loader import WaveformLoader
from scenelet.training.window_loader import WindowLoader
from scenelet.utils.parallel import cpu_count

Loaded = tuple[Tensor, NDArray[np.float32]]
"""Windows (batch, channels, n_mels, frames) and label weights (batch, classes)."""


MEMBER = 2  # tells the generators of an ensemble's further members from the generator of dropout
BACKGROUND = 3  # tells the generators of background under clips from the others


@dataclass(frozen=True)
class LabelledFeatures:
    """Features of clips, with their classes."""

    features: ClipFeatures
    targets: NDArray[np.int64]  # (clips,) class indices
    classes: int
    names: tuple[str, ...] = ()  # names of the clips for error messages; empty if they are not known
    answers: NDArray[np.float32] | None = None  # (clips, classes) probabilities by teachers, see `Distillation`
    waveforms: ClipFeatures | None = None  # samples of the same windows, for training on waveforms
    background: int | None = None  # class that means none of the others

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

    def epoch_counts(self) -> list[int]:
        """Return the number of clips of each class in an epoch: of background, as many as a mean class has.

        >>> features = ClipFeatures(np.zeros((9, 1, 1, 1), np.float16), np.arange(9), np.ones(9, np.int64))
        >>> LabelledFeatures(features, np.array([0, 0, 0, 0, 0, 0, 0, 1, 2]), 3, background=0).epoch_counts()
        [1, 1, 1]
        """
        counts = self.class_counts()
        if self.background is not None:
            others = len(self) - counts[self.background]
            counts[self.background] = max(1, round(others / max(1, self.classes - 1)))
        return counts


def class_indices(clips: Sequence[Clip], labels: Sequence[str]) -> NDArray[np.int64]:
    """Return the index (clips,) of each clip's label in `labels`."""
    return np.array([labels.index(clip.label) for clip in clips], np.int64)


@dataclass(frozen=True)
class EpochBatches:
    """Batches of one epoch. All of its randomness comes from (seed, epoch).

    Each clip appears once, with one of its windows drawn at random. Of background, as many clips are drawn as a mean
    class has, and all recordings equally often, up to one draw. The last batch is left out if it has fewer clips than
    there are devices, or a single clip, because batch normalization needs two. `drop_last` leaves out any incomplete
    one, unless it is the only batch.

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
    windows: WindowLoader | None = None  # loader of the windows of `clips`; None: a new one
    waveforms: Sequence[WaveformLoader] = ()  # loader of augmented waveforms for each member; they replace `windows`
    device: torch.device = CPU
    members: int = 1  # networks of the ensemble
    unmixed: int | None = None  # class whose clips are neither mixed nor mixed into others
    background: Background | None = None  # is added under other clips, before the augmentations

    @property
    def size(self) -> int:
        """Number of clips of the epoch, of which background clips may repeat."""
        return sum(self.clips.epoch_counts())

    def __len__(self) -> int:
        full, rest = divmod(self.size, self.batch_size)
        dropped = self.drop_last and full > 0
        return full + (rest >= max(2, self.rank.world_size) and not dropped)

    def weight(self, index: int) -> float:
        """Return the factor for the mean loss of this device's slice of batch `index`.

        It is (clips of the slice) x (devices) / (clips of the batch). With it, the mean of the losses over the devices
        is the mean over the batch, even if the slices differ in length.
        """
        count = min(self.batch_size, self.size - index * self.batch_size)
        part = self.rank.slice_of(count)
        return float((part.stop - part.start) * self.rank.world_size / count)

    def dropout_seed(self) -> int:
        """Return the seed of dropout in this epoch; it differs between devices and is independent of the batches."""
        own = [self.rank.rank] if self.rank.is_worker else []
        return int(np.random.default_rng([self.seed, self.epoch, 1, *own]).integers(1 << 31))

    def names(self, index: int) -> tuple[str, ...]:
        """Return the names of the clips of batch `index`, on all devices together."""
        draws = [self._draw(self.epoch, member) for member in range(self.members)]
        drawn = [clip for draw in draws for clip in draw.clips[draw.batches[index]]]
        return tuple(dict.fromkeys(self.clips.names[clip] for clip in drawn)) if self.clips.names else ()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        first, *others = (self._batches(member) for member in range(self.members))
        for batch in zip(first, *others, strict=True):
            x, y = zip(*batch, strict=True)
            yield (torch.cat(x), torch.cat(y)) if others else batch[0]

    def _batches(self, member: int) -> Iterator[tuple[Tensor, Tensor]]:
        draw = self._draw(self.epoch, member)
        batches = draw.batches[: len(self)]
        load = self._load_waveforms(batches, member) if self.waveforms else self._load_cached(batches, draw)
        if self.background is not None:
            load = self._add_background(load, self.background, member)
        for x, labels in load:
            for augmentation in self.augmentations:
                x = augmentation(x, draw.rng)
            x, y = self._mix(x, labels, draw.rng)
            part = self.rank.slice_of(len(x))
            yield x[part], y[part]

    def _mix(self, x: Tensor, labels: NDArray[np.float32], rng: np.random.Generator) -> Batch:
        """Mix a batch, except for the clips of the class `unmixed`."""
        y = to_device(labels, x.device)
        own = np.arange(len(labels)) if self.unmixed is None else np.flatnonzero(labels[:, self.unmixed] == 0)
        if len(own) == len(labels):
            return self.mixer(x, y, rng)
        if len(own):
            rows = to_device(own, x.device)
            x[rows], y[rows] = self.mixer(x[rows], y[rows], rng)
        return x, y

    def _draw(self, epoch: int, member: int) -> "_Draw":
        """Draw a member's epoch: its clips, their windows, and the batches."""
        rng = np.random.default_rng([self.seed, epoch, *([MEMBER, member] if member else [])])
        clips = self._draw_clips(rng)
        order = rng.permutation(len(clips))
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        return _Draw(batches, clips, rng.integers(self.clips.features.count[clips]), rng)

    def _draw_clips(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return all clips of an epoch (n,), with those of background last, which are drawn."""
        background = self.clips.background
        if background is None:
            return np.arange(len(self.clips))
        is_background = self.clips.targets == background
        own, count = np.flatnonzero(is_background), self.clips.epoch_counts()[background]
        rounds = [rng.permutation(own) for _ in range(-(-count // len(own)))]
        return np.concatenate([np.flatnonzero(~is_background), *rounds])[: self.size]

    def _loader(self) -> WindowLoader:
        return self.windows or WindowLoader(self.clips.features, self.device)

    def _add_background(self, load: Iterator[Loaded], background: Background, member: int) -> Iterator[Loaded]:
        windows = self._loader()
        rng = np.random.default_rng([self.seed, self.epoch, BACKGROUND, member])
        for x, labels in load:
            yield background.add(x, labels[:, self.clips.background] == 0, windows, rng), labels

    def _load_cached(self, batches: Sequence[NDArray[np.int64]], draw: "_Draw") -> Iterator[Loaded]:
        windows = self._loader()
        rows, labels = windows.first[draw.clips] + draw.windows, self.clips.label_weights()[draw.clips]
        yield from zip(windows.load(rows[b] for b in batches), (labels[b] for b in batches), strict=True)

    def _load_waveforms(self, batches: Sequence[NDArray[np.int64]], member: int) -> Iterator[Loaded]:
        """Yield the augmented windows and label weights of a member's batches of clips.

        They are computed in every `waveform.reuse_epochs`-th epoch. The epochs between find them in the loader, or
        compute them as that epoch did if the run was resumed since.
        """
        loader = self.waveforms[member]
        reuse = loader.config.reuse_epochs
        made_in = self.epoch - self.epoch % reuse
        draw = self._draw(made_in, member)
        drawn = draw.batches[: len(self)] if reuse == 1 else draw.batches
        rows, labels = loader.clips.first[draw.clips] + draw.windows, self.clips.label_weights()[draw.clips]
        rngs = draw.rng.spawn(len(drawn))  # independent of the generator that draws log-mel augmentations
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


@dataclass(frozen=True)
class _Draw:
    """Draw of an epoch. Its clips have numbers from 0 on, by which batches name them."""

    batches: list[NDArray[np.int64]]  # numbers of the clips of each batch, left-out ones included
    clips: NDArray[np.int64]  # (n,) index of each clip in the training clips
    windows: NDArray[np.int64]  # (n,) window of each clip
    rng: np.random.Generator  # the generator that drew them, for augmentations and mixing


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
    background = build_background(clips.features, clips.targets, clips.background, config)
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
            unmixed=_unmixed_class(clips, config),
            background=background,
        )

    return batches


def _waveform_loader(clips: LabelledFeatures, config: RunConfig) -> WaveformLoader:
    assert clips.waveforms is not None  # `load_dataset` loads them
    threads = max(1, cpu_count() // config.trainer.devices)
    responses, unmixed = impulse_responses(config), _unmixed_class(clips, config)
    return WaveformLoader(clips.waveforms, config.waveform, config.features, responses, threads, unmixed)


def _unmixed_class(clips: LabelledFeatures, config: RunConfig) -> int | None:
    return None if config.mixing.background else clips.background
