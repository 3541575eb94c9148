"""The clip table: which recordings there are, and what is known about each."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """One labelled recording.

    Attributes:
        path: where the recording lies.
        name: path relative to the data's root, with forward slashes; unique in its table.
        label: the class.
        group: what was recorded together (a location, an original recording); a made split never parts it.
        fold: of the data's own cross-validation, or None.
        split: "train", "validation" or "test" of the data's own split; None: in none of them.
        city: where it was recorded, if known.
    """

    path: Path
    name: str
    label: str
    group: str
    fold: str | None = None
    split: str | None = None
    city: str | None = None


@dataclass(frozen=True)
class ClipTable:
    """The clips of one data set, ordered by name.

    Attributes:
        root: the folder that clip names are relative to.
        source: what was recognized, e.g. "CSV meta.csv".
        clips: every clip, also those in no split.
        synthetic: the recordings are synthetic.
        license: what the data's license asks for, where it is known.
        path, audio_dir, tau_3_class: the arguments of `scenelet.data.load.load_table`, to load the table again.
    """

    root: Path
    source: str
    clips: tuple[Clip, ...]
    synthetic: bool = False
    license: str = ""
    path: Path | None = None
    audio_dir: Path | None = None
    tau_3_class: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, sorted."""
        return tuple(sorted({clip.group for clip in self.clips}))

    @property
    def folds(self) -> tuple[str, ...]:
        """The data's own folds, numbers in numeric order."""
        return tuple(sorted({clip.fold for clip in self.clips if clip.fold is not None}, key=_numbers_first))

    @property
    def cities(self) -> tuple[str, ...]:
        """The cities, sorted; none where they are not known."""
        return tuple(sorted({clip.city for clip in self.clips if clip.city is not None}))

    @property
    def has_split(self) -> bool:
        """Whether the data brings its own split."""
        return any(clip.split is not None for clip in self.clips)

    def counts(self) -> dict[str, int]:
        """Clips per label, in the order of `labels`."""
        return dict(sorted(Counter(clip.label for clip in self.clips).items()))

    def describe(self) -> str:
        """What was recognized, in one line."""
        parts = [
            f"{len(self.clips):,} clips",
            f"{len(self.labels)} classes",
            f"{len(self.groups):,} groups",
        ]
        if self.cities:
            parts.append(f"{len(self.cities)} {'cities' if len(self.cities) > 1 else 'city'}")
        if self.folds:
            parts.append(f"{'folds' if len(self.folds) > 1 else 'fold'} {' '.join(self.folds)}")
        if self.has_split:
            sides = Counter(clip.split or "none" for clip in self.clips)
            parts.append("split " + " ".join(f"{side} {sides[side]:,}" for side in (*SPLITS, "none") if sides[side]))
        made = " (made, not recorded)" if self.synthetic else ""
        return f"{self.source}: {', '.join(parts)}{made}"


def _numbers_first(fold: str) -> tuple[bool, int, str]:
    is_number = fold.isdecimal() and len(fold) <= 18  # of thousands of digits Python makes no number
    return (False, int(fold), fold) if is_number else (True, 0, fold)
