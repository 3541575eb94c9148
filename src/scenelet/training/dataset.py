"""Data set of a run: a clip table, its split, and the features of the training, validation and test subsets."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scenelet.config import RunConfig
from scenelet.config.run_folder import DataRecord, DeviceStatistics
from scenelet.data.background import add_background
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.device_bands import check_standardized_devices, device_statistics, standardize_devices
from scenelet.data.feature_cache import band_statistics, load_features, load_waveforms
from scenelet.data.group_division import split_groups
from scenelet.data.splits import Split, make_split
from scenelet.errors import UsageError
from scenelet.evaluation.metrics import clip_worth
from scenelet.training.batches import LabelledFeatures, class_indices
from scenelet.training.impulse_responses import impulse_responses
from scenelet.utils.console import print_message
from scenelet.utils.text import pluralize

MAX_CLIP_WORTH = 5.0
"""Worth of one test clip, in percentage points of macro accuracy, from which `train` warns."""


@dataclass(frozen=True)
class Dataset:
    """Features and labels of a data set. A subset is None if the split leaves it empty.

    Attributes:
        table: the clips.
        split: the clips of each subset.
        train, validation, test: their features and labels.
        statistics: by recording device, if `data.standardize` is "device"; the features are mapped by these.
    """

    table: ClipTable
    split: Split
    train: LabelledFeatures
    validation: LabelledFeatures | None
    test: LabelledFeatures | None
    statistics: DeviceStatistics | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return self.table.labels

    @property
    def record(self) -> DataRecord:
        """Record of the data for `run.json`."""
        table = self.table
        assert table.path is not None  # `load_table` sets it
        return DataRecord(
            path=table.path.resolve(),
            audio_dir=None if table.audio_dir is None else table.audio_dir.resolve(),
            tau_3_class=table.tau_3_class,
            multi_label=table.multi_label,
            description=table.describe(),
            synthetic=table.synthetic,
            license=table.license,
        )

    def held_out(self) -> Iterator[tuple[str, LabelledFeatures]]:
        """Yield the name and the clips of each subset that is not trained on."""
        for name, clips in (("validation", self.validation), ("test", self.test)):
            if clips is not None:
                yield name, clips

    def band_statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and standard deviation (n_mels,) of the training clips, dB; without hours of background.

        Those of `statistics` are of the features before they are mapped, and the maps lead to these.
        """
        if self.statistics is not None:
            mean, std = (np.array(values, np.float32) for values in (self.statistics.all.mean, self.statistics.all.std))
            return mean, std
        own = np.flatnonzero(self.train.targets != self.train.background)
        return band_statistics(self.train.features.select(own))


def load_dataset(table: ClipTable, config: RunConfig, statistics: DeviceStatistics | None = None) -> Dataset:
    """Add the background, split the clips, print a description, and load the features, computing missing ones.

    Args:
        table: the clips, see `scenelet.data.load.load_table`.
        config: features, window, background, split, standardization, and whether to train on waveforms.
        statistics: those by recording device, of the run that is compressed; None: computed if they are needed.

    Raises:
        SceneletError: as `add_background`, `make_split`, `check_standardized_devices`, `load_features`,
            `device_statistics`, and `impulse_responses`, whose files are checked here.
    """
    impulse_responses(config)
    table = add_background(table, config.data)
    split = make_split(table, config.split)
    if config.data.standardize == "device" and statistics is None:
        check_standardized_devices(split.train, table)
    _print_description(table, split, config)
    clips = (*split.train, *split.validation, *split.test)
    features = load_features(clips, table.root, config.features, config.window)
    if config.data.standardize == "device":
        own = features.select(slice(len(split.train)))
        statistics = statistics or device_statistics(own, split.train, table.background)
        features = standardize_devices(features, clips, statistics)
    targets = class_indices(clips, table.labels)
    background = None if table.background is None else table.labels.index(table.background)

    def part(start: int, count: int) -> LabelledFeatures | None:
        if count == 0:
            return None
        rows = slice(start, start + count)
        names = tuple(clip.name for clip in clips[rows])
        return LabelledFeatures(features.select(rows), targets[rows], len(table.labels), names, background=background)

    train = part(0, len(split.train))
    assert train is not None  # make_split refuses a class without training clips
    if config.waveform.train:
        waveforms = load_waveforms(split.train, table.root, config.features, config.window)
        train = replace(train, waveforms=waveforms)
    validation = part(len(split.train), len(split.validation))
    test = part(len(split.train) + len(split.validation), len(split.test))
    return Dataset(table, split, train, validation, test, statistics)


def hold_out_validation(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Move complete groups from the training subset to a new validation subset.

    Args:
        dataset: data without validation clips.
        fraction: fraction of each class's training clips to move, as near as the groups allow.
        seed: random seed.

    Raises:
        UsageError: the training subset has too few groups.
    """
    remaining, held_out = split_groups(dataset.split.train, fraction, [seed, 3])
    if not held_out or len({clip.label for clip in remaining}) < len(dataset.labels):
        raise UsageError(
            "there are too few training recordings to choose a number format by; name one (--dtype int8, or"
            ' prune.dtype = "int8")'
        )
    row = {clip.name: index for index, clip in enumerate(dataset.split.train)}

    def part(clips: Sequence[Clip]) -> LabelledFeatures:
        return subset(dataset.train, np.array([row[clip.name] for clip in clips]))

    split = replace(dataset.split, train=remaining, validation=held_out)
    return replace(dataset, split=split, train=part(remaining), validation=part(held_out))


def without_device_maps(dataset: Dataset) -> Dataset:
    """Return the data with held-out clips that are not standardized by device, as one model for all devices gets them.

    The training clips stay as they are.
    """

    def unmapped(clips: LabelledFeatures | None) -> LabelledFeatures | None:
        return clips and replace(clips, features=replace(clips.features, maps=None))

    return replace(dataset, validation=unmapped(dataset.validation), test=unmapped(dataset.test))


def subset(clips: LabelledFeatures, rows: NDArray[np.integer]) -> LabelledFeatures:
    """Select clips by their row numbers, in that order."""
    names = tuple(clips.names[row] for row in rows) if clips.names else ()
    return replace(
        clips,
        features=clips.features.select(rows),
        targets=clips.targets[rows],
        names=names,
        answers=None if clips.answers is None else clips.answers[rows],
        waveforms=None if clips.waveforms is None else clips.waveforms.select(rows),
    )


def _print_description(table: ClipTable, split: Split, config: RunConfig) -> None:
    print_message(table.describe())
    print_message(split.description)
    if table.background is not None:
        mixed = "mixed as the other classes" if config.mixing.background else "not mixed"
        share = 0 if config.transfer.freeze else config.augment.background_probability
        under = f", and under {100 * share:g} % of the other clips" if share else ""
        print_message(
            f"background: the class {table.background!r}, as many clips per epoch as a mean class, {mixed}{under}"
        )
    shared = {clip.group for clip in split.train} & {clip.group for clip in split.test}
    if shared:
        print_message(
            f"warning: {len(shared)} groups are in training and in test, so the test is easier than new locations are"
        )
    if split.test and (worth := clip_worth(Counter(clip.label for clip in split.test).values())) >= MAX_CLIP_WORTH:
        print_message(
            f"warning: the test has {pluralize(len(split.test), 'clip')}, and one is worth up to {worth:.1f} points of"
            " macro accuracy; record more, as so few say little"
        )
    if all(clip.group == clip.recording_name for clip in table.clips) and (split.validation or split.test):
        print_message(
            "warning: the data names no groups; clips of one location may be in training and in test, and flatter the"
            " accuracy"
        )
    if config.split.fold is None and config.split.city is None and len(table.folds) > 1:
        print_message("warning: the data's folds are not used; --fold holds one out")
