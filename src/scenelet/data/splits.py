"""Splits of a clip table into training, validation and test subsets that do not share groups."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from scenelet.config import SplitConfig
from scenelet.data.background import divide_background
from scenelet.data.clips import SPLITS, Clips, ClipTable
from scenelet.data.group_division import closest_subset_sum, hold_out_groups, split_groups
from scenelet.errors import DataError, did_you_mean
from scenelet.utils.files import csv_text

FOLDS_TOGETHER = "+"
"""Separator of the names of folds that are held out together."""


@dataclass(frozen=True)
class Split:
    """Clips of each subset, ordered by name.

    Validation may be empty. Test may be empty if the data's own split has no test clips.

    Attributes:
        train, validation, test: the clips.
        description: one line that says how they were chosen, and how many they are.
    """

    train: Clips
    validation: Clips
    test: Clips
    description: str


def split_table(split: Split) -> str:
    """Return the split as CSV with the columns filename, label, group and split."""
    rows = ([clip.name, clip.label, clip.group, subset] for subset in SPLITS for clip in getattr(split, subset))
    return csv_text(["filename", "label", "group", "split"], rows)


def split_hash(split: Split) -> str:
    """Return a hash of the clips of each subset, with their labels and groups: 16 hexadecimal digits.

    >>> from scenelet.data.clips import Clip
    >>> from pathlib import Path
    >>> clips = tuple(Clip(Path(name), name, name[0], group=name) for name in ("a1", "a2", "b1", "b2"))
    >>> split_hash(make_split(ClipTable(Path(), "CSV", clips), SplitConfig(test_fraction=0.5)))
    'b5ae1767b641d0ed'
    """
    return split_csv_hash(split_table(split).encode(errors="surrogateescape"))


def split_csv_hash(data: bytes) -> str:
    """Return the `split_hash` of a split from the bytes of its `split_table`, e.g. of a run's `split.csv`."""
    return hashlib.sha256(data).hexdigest()[:16]


def make_split(table: ClipTable, config: SplitConfig) -> Split:
    """Split a table by a fold or a city, else by the data's own split, else at random.

    - If `config.fold` is set, this fold is the test subset, or several folds joined by "+". If the table has one fold
      and its own split (TAU), the fold's name stands for that split. Clips without a fold are left out.
    - If `config.city` is set, this city is the test subset, and all other cities are for training.
    - If the data has its own split, it is used unchanged. Clips without a split are left out.
    - Otherwise about `config.test_fraction` of each class becomes the test subset. Groups are not divided. If groups
      are added later, most of the others stay in their subset.

    If `config.percent` is set, only the training clips of this nested list are used; see `scenelet.data.percent`.
    Validation comes from the data's own split. If that has none, `config.validation_fraction` of each class's training
    clips becomes the validation subset, in whole groups and as closely as the groups allow. If `config.device` is set,
    each subset keeps only the clips of this device. So a clip is in the same subset as without that setting. If
    `config.imbalance` is set, the remaining training clips are subsampled. The same table and settings give the same
    split, in any order of the files. The recordings of a background folder are divided by
    `scenelet.data.background.divide_background`, and do not change the split of the other clips.

    Raises:
        DataError: a fold, city or device is unknown, a class has no training clip, or the groups cannot be divided.

    >>> from scenelet.data.clips import Clip
    >>> from pathlib import Path
    >>> names = [f"{label}{i}" for label in ("rain", "sea") for i in range(5)]
    >>> clips = tuple(Clip(Path(name), name, name[:-1], group=name) for name in names)
    >>> split = make_split(ClipTable(Path(), "CSV", clips), SplitConfig(test_fraction=0.2))
    >>> len(split.train), len(split.test)
    (8, 2)
    """
    if not table.background_clips:
        return _split_clips(table, config)
    added = {clip.name for clip in table.background_clips}
    others = replace(table, clips=tuple(clip for clip in table.clips if clip.name not in added), background_clips=())
    split = _split_clips(others, config)
    count = len(split.train) + len(split.validation) + len(split.test)
    own = divide_background(
        table.background_clips,
        config.seed,
        table.folds,
        () if config.fold is None or len(table.folds) < 2 else held_out_folds(table, config.fold),
        (len(split.validation) / count, len(split.test) / count),
    )
    subsets = zip((split.train, split.validation, split.test), own, strict=True)
    train, validation, test = (tuple(sorted((*a, *b), key=lambda clip: clip.name)) for a, b in subsets)
    counts = f"train {len(own[0]):,}, validation {len(own[1]):,}, test {len(own[2]):,}"
    return Split(train, validation, test, f"{split.description}; recordings of background: {counts}")


def _split_clips(table: ClipTable, config: SplitConfig) -> Split:
    clips = tuple(sorted(table.clips, key=lambda clip: clip.name))
    if config.fold is not None:
        train, test, how = _hold_out(table, clips, config.fold)
    elif config.city is not None:
        if config.city not in table.cities:
            known = f"there are {' '.join(table.cities)}" if table.cities else f"{table.source} names no cities"
            advice = did_you_mean(config.city, table.cities)
            raise DataError(f"{table.root}: no city {config.city!r}; {known}{advice}")
        train = tuple(clip for clip in clips if clip.city not in (config.city, None))
        test = tuple(clip for clip in clips if clip.city == config.city)
        how = f"city {config.city} held out"
    elif table.has_split:
        train, test, how = _own_split(clips)
    else:
        train, test = hold_out_groups(clips, config.test_fraction, config.seed)
        how = f"random split, {100 * config.test_fraction:g} % of each class in whole groups, seed {config.seed}"
    if config.percent is not None:
        train = _training_list(table, train, config.percent)
        how += f", training list of {config.percent} %"
    validation = _subset(train, "validation")
    if validation:
        train = tuple(clip for clip in train if clip.split != "validation")
    elif config.validation_fraction > 0:
        train, validation = split_groups(train, config.validation_fraction, [config.seed, 1])
        if not validation:
            raise DataError(
                f"{table.root}: a validation_fraction of {config.validation_fraction:g} leaves no clip for validation"
                f" ({len(train)} training clips, which are taken in whole groups only); raise it or add recordings"
            )
        how += f"; validation {100 * config.validation_fraction:g} % of training in whole groups, seed {config.seed}"
    if config.device is not None:
        train, validation, test = _keep_device(table, config.device, train, validation, test)
        how += f"; device {config.device} only"
    if config.imbalance > 1:
        train = _subsample_long_tail(table, train, config)
        how += f"; training subsampled to an imbalance of {config.imbalance:g} to 1"
    if absent := sorted(set(table.labels) - {clip.label for clip in train}):
        raise DataError(
            f"{table.root}: class {absent[0]!r} has no training clip ({how}); add recordings, or change the split"
        )
    left_out = len(clips) - len(train) - len(validation) - len(test)
    counts = f"train {len(train):,}, validation {len(validation):,}, test {len(test):,} clips"
    return Split(train, validation, test, f"{how}: {counts}" + (f", {left_out:,} left out" if left_out else ""))


def _hold_out(table: ClipTable, clips: Clips, fold: str) -> tuple[Clips, Clips, str]:
    if not table.folds:
        raise DataError(f"{table.root}: {table.source} has no folds, so fold {fold!r} cannot be held out")
    names = held_out_folds(table, fold)
    if len(table.folds) > 1:
        train = tuple(clip for clip in clips if clip.fold not in (*names, None))
        how = f"fold {fold} held out" if len(names) == 1 else f"folds {' and '.join(names)} held out"
        return train, tuple(clip for clip in clips if clip.fold in names), how
    if not table.has_split:
        raise DataError(f"{table.root}: every clip is in fold {fold}, so holding it out leaves nothing to train on")
    train, test, how = _own_split(clips)
    return train, test, f"fold {fold}, {how}"


def _keep_device(table: ClipTable, device: str, *subsets: Clips) -> tuple[Clips, ...]:
    if device not in table.devices:
        known = f"there are {' '.join(table.devices)}" if table.devices else f"{table.source} names no devices"
        raise DataError(f"{table.root}: no device {device!r}; {known}{did_you_mean(device, table.devices)}")
    return tuple(tuple(clip for clip in clips if clip.device == device) for clips in subsets)


def held_out_folds(table: ClipTable, text: str) -> tuple[str, ...]:
    """Return the folds that a text names, in the table's order: one, or several joined by "+".

    Raises:
        DataError: a fold is unknown or named twice.

    >>> from scenelet.data.clips import Clip
    >>> from pathlib import Path
    >>> clips = tuple(Clip(Path(fold), fold, "rain", group=fold, fold=fold) for fold in "123")
    >>> held_out_folds(ClipTable(Path(), "CSV", clips), "3+1")
    ('1', '3')
    """
    names = [text] if text in table.folds else text.split(FOLDS_TOGETHER)
    for name in names:
        if name not in table.folds:
            known = " ".join(table.folds)
            raise DataError(f"{table.root}: no fold {name!r}; there are {known}{did_you_mean(name, table.folds)}")
    if len(set(names)) < len(names):
        raise DataError(f"{table.root}: {text!r} names a fold twice; name each once")
    return tuple(fold for fold in table.folds if fold in names)


def _own_split(clips: Clips) -> tuple[Clips, Clips, str]:
    """Return training with validation, test, and a description."""
    return _subset(clips, "train", "validation"), _subset(clips, "test"), "the data's own split"


def _training_list(table: ClipTable, train: Clips, percent: int) -> Clips:
    """Return the training clips of one of the nested lists. Validation clips of the data's own split stay."""
    if not table.percentages:
        raise DataError(
            f"{table.root}: {table.source} has no training lists, so split.percent={percent} cannot be used; put"
            f" split{percent}.csv and test.csv into a TAU root, or add a column percent to a table"
        )
    if percent not in table.percentages:
        known = " ".join(map(str, table.percentages))
        raise DataError(f"{table.root}: no training list of {percent} %; there are {known}: give one of them")
    return tuple(
        clip for clip in train if clip.split == "validation" or (clip.percent is not None and clip.percent <= percent)
    )


def _subset(clips: Clips, *names: str) -> Clips:
    return tuple(clip for clip in clips if clip.split in names)


def _subsample_long_tail(table: ClipTable, train: Clips, config: SplitConfig) -> Clips:
    """Leave out whole groups so that class k of K keeps the fraction `imbalance ** (-k / (K - 1))` of its clips.

    This is the long-tailed protocol of Cui et al. (Class-balanced loss, 2019). Classes are in the order of their names,
    and each keeps at least one group.
    """
    rng = np.random.default_rng([config.seed, 2])
    kept: set[str] = set()
    for k, label in enumerate(table.labels):
        sizes = Counter(clip.group for clip in train if clip.label == label)
        names = [sorted(sizes)[i] for i in rng.permutation(len(sizes))]
        fraction = config.imbalance ** (-k / max(1, len(table.labels) - 1))
        chosen = closest_subset_sum([sizes[name] for name in names], fraction * sizes.total(), min_sum=1)
        groups = {names[i] for i in chosen}
        kept |= {clip.name for clip in train if clip.label == label and clip.group in groups}
    return tuple(clip for clip in train if clip.name in kept)
