"""Background: recordings of none of the classes, from a class of the data or from a folder of its own."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scenelet.audio.io import find_recordings
from scenelet.config import DataConfig
from scenelet.data.clips import Clip, Clips, ClipTable
from scenelet.data.labels import check_alike_labels, normalize
from scenelet.errors import DataError, UsageError, did_you_mean

DEFAULT = "background"
"""Label of the recordings of a folder, and default name of the class."""
NAMES = (DEFAULT, "_background_noise_", "background_noise", "background noise")
"""Labels that the default means, the first one that is present."""
HASHED_BYTES = 1 << 16
"""Bytes at the start of a recording that `background_hash` compares."""


def add_background(table: ClipTable, config: DataConfig) -> ClipTable:
    """Return a table with its background: a class of the data, or the recordings of a folder as one more class.

    A recording's group is the subfolder that it is in. Otherwise, or if all are in one subfolder, each is a group. A
    table that has its background already is returned as it is.

    Args:
        table: the clips.
        config: `background` is the name of a class, or the path of a folder.

    Raises:
        UsageError: it is neither a class nor a folder of recordings, or the folder is a part of the data.
        DataError: a label or a name of the folder's recordings looks like one of the data.

    >>> clips = tuple(Clip(Path(name), name, name, group=name) for name in ("background", "rain"))
    >>> add_background(ClipTable(Path(), "CSV", clips), DataConfig()).background
    'background'
    """
    if table.background is not None:
        return table
    value, labels = normalize(config.background), table.labels
    names = NAMES if value == DEFAULT else (value,)
    if label := next((name for name in names if name in labels), None):
        return replace(table, background=label)
    if value == DEFAULT:  # a folder of this name in the current folder may be anything; ./background means it
        return table
    folder = Path(config.background).expanduser()
    if not value:
        raise UsageError("data.background is empty; give the name of a class, or the path of a folder of recordings")
    if not folder.is_dir():
        raise UsageError(
            f"data.background is {config.background!r}, which is neither a class of {table.root} nor a folder"
            f"{did_you_mean(value, labels)}; give the name of a class, or the path of a folder of recordings"
        )
    added = folder_clips(folder)
    _check_no_clip(folder, added, table)
    check_alike_labels(folder, [*labels, DEFAULT])
    clips = tuple(sorted((*table.clips, *added), key=lambda clip: clip.name))
    return replace(table, clips=clips, background=DEFAULT, background_clips=added)


def background_hash(clips: Clips) -> str:
    """Return a hash of the size and the first bytes of all recordings, whatever their names: 16 hexadecimal digits."""
    digests = []
    for path in {clip.path for clip in clips}:
        with path.open("rb") as file:
            start = file.read(HASHED_BYTES)
        digests.append(hashlib.sha256(f"{path.stat().st_size} ".encode() + start).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:16]


def absolute_background(config: DataConfig, table: ClipTable) -> DataConfig:
    """Return the settings with the absolute path of the background folder whose recordings a table has, if any.

    A run records it, and other commands may run in another folder.
    """
    if not table.background_clips:
        return config
    return config.model_copy(update={"background": str(Path(config.background).expanduser().resolve())})


def folder_clips(folder: Path) -> Clips:
    """Return the recordings of a folder as clips of background, in groups as `add_background` says.

    Raises:
        UsageError: there are none.
    """
    paths = find_recordings(folder)
    if not paths:
        raise UsageError(f"{folder}: holds no recordings of background; give a folder that does")
    names = {path: path.relative_to(folder).parts for path in paths}
    groups = {path: normalize(parts[0]) if len(parts) > 1 else "/".join(parts) for path, parts in names.items()}
    if len(set(groups.values())) == 1:
        groups = {path: "/".join(parts) for path, parts in names.items()}
    return tuple(
        Clip(path, f"{DEFAULT}/{'/'.join(parts)}", DEFAULT, group=f"{DEFAULT}/{groups[path]}")
        for path, parts in names.items()
    )


def _check_no_clip(folder: Path, added: Clips, table: ClipTable) -> None:
    """Check that the folder's recordings are not clips of the table, and that their names are different."""
    known = {clip.path.resolve(): clip for clip in table.clips}
    for clip in added:
        if other := known.get(clip.path.resolve()):
            raise UsageError(
                f"data.background: {folder} holds {other.name}, a clip of the class {other.label!r}; give the name of"
                " the class, or a folder with other recordings"
            )
    if same := {clip.name for clip in table.clips} & {clip.name for clip in added}:
        raise DataError(f"{table.root}: holds {min(same)}, the name of a recording in {folder} too; rename one of them")


def divide_background(
    clips: Clips, seed: int, folds: Sequence[str], held_out: Sequence[str], fractions: tuple[float, float]
) -> tuple[Clips, Clips, Clips]:
    """Divide the recordings of a background folder into training, validation and test, in whole groups.

    The order of the groups is that of a hash of seed and name. If folds are held out, the groups go to the folds in
    turn. So each one is held out with one fold. Otherwise test and validation get their fractions of the groups, and at
    least one group each while one remains for training.

    Args:
        clips: the recordings.
        seed: seed of the hash.
        folds, held_out: the folds of the other clips, and those of them that are held out; empty without folds.
        fractions: validation and test clips as fractions of the other clips.

    >>> clips = tuple(Clip(Path(name), name, "background", group=name) for name in "abcdefghij")
    >>> [len(part) for part in divide_background(clips, 0, (), (), (0.1, 0.2))]
    [7, 1, 2]
    """
    groups = {clip.group for clip in clips}
    ranked = sorted(groups, key=lambda g: hashlib.sha256(f"{seed} {g}".encode(errors="surrogateescape")).digest())
    free = len(ranked) - 1  # one group remains for training
    if held_out:
        test = [g for rank, g in enumerate(ranked) if folds[rank % len(folds)] in held_out][:free]
    else:
        test = ranked[: _count(fractions[1], len(ranked), free)]
    rest = [g for g in ranked if g not in test]
    share = fractions[0] / (1 - fractions[1]) if fractions[1] < 1 else 0.0
    validation = rest[: _count(share, len(rest), len(rest) - 1)]
    subsets = {**dict.fromkeys(test, 2), **dict.fromkeys(validation, 1)}
    train, second, third = (tuple(clip for clip in clips if subsets.get(clip.group, 0) == k) for k in range(3))
    return train, second, third


def _count(fraction: float, groups: int, limit: int) -> int:
    return min(limit, max(1, round(fraction * groups))) if fraction else 0
