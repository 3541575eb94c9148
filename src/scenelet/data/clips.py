"""Clip tables: the recordings of a data set and the known facts about each."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from scenelet.audio.segment import Segment, part
from scenelet.model.device_files import UNKNOWN
from scenelet.utils.text import pluralize

MultiLabel = Literal["refuse", "skip", "first"]
"""Treatment of sound with several labels: refuse the table, leave these rows out, or take the first label."""
MULTI_LABELS: tuple[MultiLabel, ...] = get_args(MultiLabel)

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), "test"),
}
"""Subset of each name that tables and folders use for one, in lower case."""
FILLERS = {"", "audio", "clips", "data", "dataset", "files", "list", "recordings", "set", "wav", "wavs"}
"""Words around a subset's name: "train_audio", "testing_list", "Validation set"."""


@dataclass(frozen=True)
class Clip:
    """One labelled recording, or a part of one.

    Attributes:
        path: path of the recording.
        name: path relative to the data's root, with forward slashes, and the times of a part: `PATH@START-END`. It is
            unique in its table.
        label: the class.
        group: name shared by recordings that belong together, e.g. at one location. A split never divides a group.
        fold: fold of the data's own cross-validation, or None.
        split: "train", "validation" or "test" in the data's own split; None if the clip is in none of them.
        city: city of the recording, if it is known.
        device: recording device, e.g. "a" or "s1"; None if it is not known (see `known_device`).
        percent: percentage of the smallest of the data's nested training lists that has the clip, or None.
        start, end: times of the part in seconds; None: the complete recording.

    >>> Clip(Path("data/rain/1.wav"), "rain/1.wav", "rain", group="garden").label
    'rain'
    """

    path: Path
    name: str
    label: str
    group: str
    fold: str | None = None
    split: str | None = None
    city: str | None = None
    device: str | None = None
    percent: int | None = None
    start: float | None = None
    end: float | None = None

    @property
    def recording(self) -> Path | Segment:
        """Sound of the clip, for every function that reads a recording."""
        return part(self.path, self.start, self.end)

    @property
    def recording_name(self) -> str:
        """Name of the complete recording.

        >>> Clip(Path("1.wav"), "1.wav@0.5-2", "rain", "1.wav", start=0.5, end=2.0).recording_name
        '1.wav'
        """
        return self.name if self.start is None else self.name.rpartition("@")[0]


Clips = tuple[Clip, ...]
"""Some clips of a table."""


def known_device(name: str) -> str | None:
    """Return the recording device that data name; None for an empty name and for "unknown", which data sets write.

    >>> known_device("s1"), known_device("Unknown"), known_device("")
    ('s1', None, None)
    """
    return name if name and name.lower() != UNKNOWN else None


@dataclass(frozen=True)
class ClipTable:
    """Clips of one data set, ordered by name.

    Attributes:
        root: the folder that clip names are relative to.
        source: the recognized layout, e.g. "CSV meta.csv".
        clips: all clips, including those in no split.
        synthetic: all recordings are synthetic.
        license: terms of the data's license, if they are known.
        notes: what was left out or decided while the table was loaded, one sentence each.
        background: the class that means none of the others; see `scenelet.data.background`.
        background_clips: those of `clips` that come from a folder of background.
        path, audio_dir, tau_3_class, multi_label: the arguments of `scenelet.data.load.load_table`, to load the table
            again; tables compare equal without them.

    >>> clips = [Clip(Path(name), name, name[0], group=name) for name in ("a1", "a2", "b1")]
    >>> table = ClipTable(Path(), "CSV clips.csv", tuple(clips))
    >>> table.labels, table.counts()
    (('a', 'b'), {'a': 2, 'b': 1})
    >>> table.describe()
    'CSV clips.csv: 3 clips, 2 classes, 3 groups'
    """

    root: Path
    source: str
    clips: tuple[Clip, ...]
    synthetic: bool = False
    license: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)
    background: str | None = field(default=None, compare=False)
    background_clips: tuple[Clip, ...] = field(default=(), compare=False)
    path: Path | None = field(default=None, compare=False)
    audio_dir: Path | None = field(default=None, compare=False)
    tau_3_class: bool = field(default=False, compare=False)
    multi_label: MultiLabel = field(default="refuse", compare=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, sorted."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups, sorted."""
        return tuple(sorted({clip.group for clip in self.clips}))

    @property
    def folds(self) -> tuple[str, ...]:
        """Folds of the data, numbers in numeric order."""
        return tuple(sorted({clip.fold for clip in self.clips if clip.fold is not None}, key=_numbers_first))

    @property
    def cities(self) -> tuple[str, ...]:
        """Known cities, sorted."""
        return tuple(sorted({clip.city for clip in self.clips if clip.city is not None}))

    @property
    def devices(self) -> tuple[str, ...]:
        """Known recording devices, sorted."""
        return tuple(sorted({clip.device for clip in self.clips if clip.device is not None}))

    @property
    def percentages(self) -> tuple[int, ...]:
        """Percentages of the nested training lists, sorted; see `scenelet.data.percent`."""
        return tuple(sorted({clip.percent for clip in self.clips if clip.percent is not None}))

    @property
    def has_split(self) -> bool:
        """True if the data has its own split."""
        return any(clip.split is not None for clip in self.clips)

    def counts(self) -> dict[str, int]:
        """Count the clips of each label, in the order of `labels`."""
        return dict(sorted(Counter(clip.label for clip in self.clips).items()))

    def describe(self) -> str:
        """Describe the table in one line."""
        parts = [
            pluralize(len(self.clips), "clip"),
            f"{len(self.labels):,} {'class' if len(self.labels) == 1 else 'classes'}",
            pluralize(len(self.groups), "group"),
        ]
        if any(clip.start is not None for clip in self.clips):
            parts[0] += f" of {pluralize(len({clip.path for clip in self.clips}), 'recording')}"
        if self.cities:
            parts.append(f"{len(self.cities)} {'cities' if len(self.cities) > 1 else 'city'}")
        if len(self.devices) > 1:
            parts.append(f"{len(self.devices)} devices")
        if self.folds:
            parts.append(f"{'folds' if len(self.folds) > 1 else 'fold'} {' '.join(self.folds)}")
        if self.has_split:
            sizes = Counter(clip.split or "none" for clip in self.clips)
            parts.append("split " + " ".join(f"{name} {sizes[name]:,}" for name in (*SPLITS, "none") if sizes[name]))
        if self.percentages:
            parts.append(f"training lists {' '.join(f'{percent} %' for percent in self.percentages)}")
        return f"{self.source}: {', '.join(parts)}{' (synthetic)' if self.synthetic else ''}"


def subsets_of_names(names: Iterable[str]) -> dict[str, str]:
    """Return the subset of each folder name that means one.

    Such a name is a subset's, with words like "set", or the names of several subsets differ only in that word. A
    development set is for training if there is no training set.

    >>> subsets_of_names(["Train", "val", "noise"])
    {'Train': 'train', 'val': 'validation'}
    >>> subsets_of_names(["dev", "eval"])
    {'dev': 'train', 'eval': 'test'}
    >>> subsets_of_names(["nsynth-train", "nsynth-valid", "train_horn", "Test set"])
    {'nsynth-train': 'train', 'nsynth-valid': 'validation', 'Test set': 'test'}
    """
    found: dict[frozenset[str], dict[str, str]] = defaultdict(dict)
    for name in names:
        words = [re.sub("(?<=.)(data)?set$", "", word) for word in re.split(r"[\W\d_]+", name.lower())]
        if len(known := [word for word in words if word in SPLIT_NAMES]) == 1:
            found[frozenset(words) - FILLERS - {*known}][name] = known[0]
    same_rest = [each for rest, each in found.items() if not rest or len({*map(SPLIT_NAMES.get, each.values())}) > 1]
    known_words = {name: word for each in same_rest for name, word in each.items()}
    has_train = "train" in map(SPLIT_NAMES.get, known_words.values())
    return {
        name: "train" if word.startswith("dev") and not has_train else SPLIT_NAMES[word]
        for name, word in known_words.items()
    }


def _numbers_first(fold: str) -> tuple[bool, int, str]:
    is_number = fold.isdecimal() and len(fold) <= 18  # Python refuses to convert thousands of digits
    return (False, int(fold), fold) if is_number else (True, 0, fold)
