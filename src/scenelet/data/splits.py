"""Choose training, validation and test clips so that no group is cut in two."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scenelet.config import SplitConfig
from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.errors import DataError, did_you_mean
from scenelet.utils.files import csv_text

Clips = tuple[Clip, ...]
FOLDS_TOGETHER = "+"  # between the names of folds that are held out together


@dataclass(frozen=True)
class Split:
    """The clips of each side, ordered by name, and how they were chosen.

    Validation may be empty, and so may test when the data's own split has none.
    """

    train: Clips
    validation: Clips
    test: Clips
    description: str


def split_table(split: Split) -> str:
    """The split as CSV: filename, label, group, split."""
    rows = ([clip.name, clip.label, clip.group, side] for side in SPLITS for clip in getattr(split, side))
    return csv_text(["filename", "label", "group", "split"], rows)


def split_hash(split: Split) -> str:
    """What two splits share only when they have the same clips, labels, groups and sides."""
    return hashlib.sha256(split_table(split).encode(errors="surrogateescape")).hexdigest()[:16]


def make_split(table: ClipTable, config: SplitConfig) -> Split:
    """Split a table: a fold or a city held out, else the data's own split, else a made one.

    - `config.fold` held out as test, or several folds, joined by "+"; a table with one fold and its own
      split (TAU) calls that split by the fold's name. Clips of no fold are left out.
    - `config.city` held out as test, and every clip of the other cities for training.
    - The data's own split is taken as it is; clips of none of its sides are left out.
    - Otherwise `config.test_fraction` of each class is cut off, in whole groups.

    Validation is the data's own; where it has none, `config.validation_fraction` of each class's
    training clips is cut off in whole groups, as near as the groups allow. What is left for training is
    made uneven where `config.imbalance` says so. The same table and settings give the same split,
    whatever the order of the files.

    Raises:
        DataError: an unknown fold, a class without training clips, or groups that cannot be cut.
    """
    clips = tuple(sorted(table.clips, key=lambda clip: clip.name))
    if config.fold is not None:
        train, test, how = _hold_out(table, clips, config.fold)
    elif config.city is not None:
        train, test, how = _hold_out_city(table, clips, config.city)
    elif table.has_split:
        train, test, how = _own_split(clips)
    else:
        train, test = split_groups(clips, config.test_fraction, [config.seed, 0], every_class=True)
        how = f"made split, {100 * config.test_fraction:g} % of each class in whole groups, seed {config.seed}"
    validation = _side(train, "validation")
    if validation:
        train = tuple(clip for clip in train if clip.split != "validation")
    elif config.validation_fraction > 0:
        train, validation = split_groups(train, config.validation_fraction, [config.seed, 1], every_class=False)
        if not validation:
            raise DataError(
                f"{table.root}: a validation_fraction of {config.validation_fraction:g} leaves no clip for validation"
                f" ({len(train)} training clips, which are cut in whole groups only); raise it or add recordings"
            )
        how += f"; validation {100 * config.validation_fraction:g} % of training in whole groups, seed {config.seed}"
    if config.imbalance > 1:
        train = _subsample_long_tail(table, train, config)
        how += f"; training made uneven, {config.imbalance:g} to 1"
    _check_training_clips(table, train, how)
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


def held_out_folds(table: ClipTable, text: str) -> tuple[str, ...]:
    """The folds that "1", or "1+2" for two held out together, names; in the table's order.

    Raises:
        DataError: an unknown fold, or the same one twice.
    """
    names = [text] if text in table.folds else text.split(FOLDS_TOGETHER)
    for name in names:
        if name not in table.folds:
            known = " ".join(table.folds)
            raise DataError(f"{table.root}: no fold {name!r}; there are {known}{did_you_mean(name, table.folds)}")
    if len(set(names)) < len(names):
        raise DataError(f"{table.root}: {text!r} names a fold twice; name each once")
    return tuple(fold for fold in table.folds if fold in names)


def _hold_out_city(table: ClipTable, clips: Clips, city: str) -> tuple[Clips, Clips, str]:
    """Every clip of the city against every clip of the others, also those that the data's own split leaves out."""
    if city not in table.cities:
        known = f"there are {' '.join(table.cities)}" if table.cities else f"{table.source} names no cities"
        raise DataError(f"{table.root}: no city {city!r}; {known}{did_you_mean(city, table.cities)}")
    train = tuple(clip for clip in clips if clip.city not in (city, None))
    return train, tuple(clip for clip in clips if clip.city == city), f"city {city} held out"


def _own_split(clips: Clips) -> tuple[Clips, Clips, str]:
    """Training with validation, test."""
    return _side(clips, "train", "validation"), _side(clips, "test"), "the data's own split"


def _side(clips: Clips, *sides: str) -> Clips:
    return tuple(clip for clip in clips if clip.split in sides)


def _subsample_long_tail(table: ClipTable, train: Clips, config: SplitConfig) -> Clips:
    """Leave out clips in whole groups, so that class k of K keeps `imbalance ** (-k / (K - 1))` of its own.

    The long-tailed protocol of Cui et al. 2019; classes in the order of their names, each keeps a group.
    """
    rng = np.random.default_rng([config.seed, 2])
    kept: set[str] = set()
    for k, label in enumerate(table.labels):
        sizes = Counter(clip.group for clip in train if clip.label == label)
        names = [sorted(sizes)[i] for i in rng.permutation(len(sizes))]
        share = config.imbalance ** (-k / (len(table.labels) - 1))
        chosen = closest_subset_sum([sizes[name] for name in names], share * sizes.total(), at_least=1)
        groups = {names[i] for i in chosen}
        kept |= {clip.name for clip in train if clip.label == label and clip.group in groups}
    return tuple(clip for clip in train if clip.name in kept)


def _check_training_clips(table: ClipTable, train: Iterable[Clip], how: str) -> None:
    absent = sorted(set(table.labels) - {clip.label for clip in train})
    if absent:
        raise DataError(
            f"{table.root}: class {absent[0]!r} has no training clip ({how}); add recordings, or change the split"
        )


def split_groups(clips: Clips, fraction: float, seed: Sequence[int], every_class: bool) -> tuple[Clips, Clips]:
    """(kept, cut off): of each class as near `fraction` of its clips as whole groups allow, never all.

    Classes with few groups choose first; a group that spans classes follows the first to choose.

    Args:
        clips: ordered by name.
        fraction: of each class's clips, to cut off.
        seed: of the order in which groups are tried.
        every_class: cut off at least one group of each class, or raise.
    """
    rng = np.random.default_rng(seed)
    sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for clip in clips:
        sizes[clip.label][clip.group] += 1
    is_cut: dict[str, bool] = {}
    for label in sorted(sizes, key=lambda label: (len(sizes[label]), label)):
        groups = sizes[label]
        if every_class and len(groups) == 1:
            raise _one_group(label, groups)
        names = sorted(groups)
        undecided = [names[i] for i in rng.permutation(len(names)) if names[i] not in is_cut]
        already = sum(groups[name] for name in names if is_cut.get(name, False))
        chosen = closest_subset_sum(
            [groups[name] for name in undecided],
            target=fraction * sum(groups.values()) - already,
            at_least=1 if every_class and not already else 0,
            not_all=all(is_cut.get(name, True) for name in names),
        )
        is_cut |= {name: i in chosen for i, name in enumerate(undecided)}
    kept = tuple(clip for clip in clips if not is_cut[clip.group])
    return kept, tuple(clip for clip in clips if is_cut[clip.group])


def _one_group(label: str, groups: dict[str, int]) -> DataError:
    (group, count), *_ = groups.items()
    what = "one clip" if count == 1 else f"clips of one group ({group!r})"
    return DataError(
        f"class {label!r} has only {what}, which cannot be on both the training and the test side;"
        " add recordings made elsewhere, or leave the class out"
    )


def closest_subset_sum(sizes: Sequence[int], target: float, at_least: int = 0, not_all: bool = False) -> set[int]:
    """Indices of the positive `sizes` whose sum is nearest to `target`: the subset-sum problem, solved exactly.

    Of two sums equally near the smaller is taken, and of the subsets with that sum the one that is
    reached first in the order given. An empty set when no sum fits.

    Args:
        sizes: whole numbers above 0.
        target: the wanted sum.
        at_least: the smallest sum allowed.
        not_all: all of them together are not allowed.
    """
    if not sizes:
        return set()
    # any element can be dropped from a sum beyond this, which brings it nearer
    highest = min(sum(sizes) - not_all, max(at_least, int(np.ceil(target))) + max(sizes))
    reached_by = np.full(highest + 1, -1)  # the element whose adding first made this sum
    reached = np.zeros(highest + 1, bool)
    reached[0] = True
    for index, size in enumerate(sizes):
        if size > highest:
            continue
        new = reached[: highest + 1 - size] & ~reached[size:]
        reached_by[size:][new] = index
        reached[size:] |= new
    sums = np.flatnonzero(reached)
    sums = sums[sums >= at_least]
    if len(sums) == 0:
        return set()
    best = int(sums[np.argmin(np.abs(sums - target))])
    chosen = set()
    while best > 0:
        chosen.add(int(reached_by[best]))
        best -= sizes[reached_by[best]]
    return chosen
