"""ESC-10, taken out of the public repository of ESC-50: its facts, its files, and what is checked.

Checked: each recording can be decoded to its end and is 5 s of mono at 44.1 kHz; there are 400 clips,
40 in each of 10 classes and 80 in each of 5 folds; no original recording lies in two folds. Not
checked: that the samples are the published ones. No checksums are published for single recordings, so
this rests on the server (https) and on the commit, whose content cannot change.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scenelet.data.delimited import read_rows
from scenelet.data.download.http import RemoteFile
from scenelet.errors import DataError
from scenelet.utils.files import csv_text, replace_file
from scenelet.utils.text import first_few

REPOSITORY = "https://raw.githubusercontent.com/karolpiczak/ESC-50/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
TABLE = "meta/esc50.csv"
LICENSE = "CC-BY 3.0"
TERMS = (
    f"ESC-10: {LICENSE} (Creative Commons Attribution): free for any use that names its source, which is:"
    " K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015."
)

CLASSES, FOLDS, CLIPS = 10, 5, 400
SAMPLE_RATE = 44_100  # Hz
FRAMES = 5 * SAMPLE_RATE
WAV_BYTES = 44 + 2 * FRAMES


class Esc10Clip(NamedTuple):
    """One clip; `group` is the original recording that it was cut from."""

    filename: str
    label: str
    fold: str
    group: str
    license: str = LICENSE


@dataclass(frozen=True)
class Esc10:
    """ESC-10 in a folder: `audio/*.wav` and `meta.csv`, which is written last.

    Attributes:
        root: the folder.
        downloads: where the repository's table lies meanwhile.
        base: address of the repository's files.
        keep: leave that table there.
    """

    root: Path
    downloads: Path
    base: str = REPOSITORY
    keep: bool = False
    terms: str = TERMS

    def finished(self) -> bool:
        """Whether it has been fetched."""
        return (self.root / "meta.csv").is_file()

    def bytes_left(self) -> int:
        """Bytes to download."""
        return WAV_BYTES * max(CLIPS - len(list(self.root.glob("audio/*.wav"))), 0)

    def disk_needed(self) -> int:
        """Bytes that the disk must have free."""
        return self.bytes_left()

    def run(self, get: Callable[[RemoteFile], None]) -> None:
        """Fetch what is missing. Raises DataError for what the module's first lines say is checked."""
        table = RemoteFile(f"{self.base}/{TABLE}", self.downloads / Path(TABLE).name, None, _table_flaw)
        get(table)
        clips = esc10_clips(table.path)
        for clip in clips:
            address = f"{self.base}/audio/{clip.filename}"
            get(RemoteFile(address, self.root / "audio" / clip.filename, None, recording_flaw))
        if not self.keep:
            table.path.unlink()  # before the set is finished: nobody would come back for it
        replace_file(self.root / "meta.csv", csv_text(Esc10Clip._fields, clips))

    def check(self) -> None:
        """Raise DataError when the folder is not the whole set."""
        meta = self.root / "meta.csv"
        rows = read_rows(meta, Esc10Clip._fields)
        clips = [Esc10Clip(*(row.values[name] for name in Esc10Clip._fields)) for row in rows]
        flaw = counts_flaw(clips)
        for path in (self.root / "audio" / clip.filename for clip in clips):
            flaw = flaw or (f"{path.name}: {found}" if (found := recording_flaw(path)) else "")
        if flaw:
            raise DataError(f"{meta}: not the published set, since {flaw}; delete this table and run the command again")


def esc10_clips(table: Path) -> list[Esc10Clip]:
    """The clips of ESC-10 in the repository's table, by name.

    Raises:
        DataError: not its form, or other counts than the published ones.
    """
    clips = []
    for line, values in read_rows(table, ("filename", "fold", "category", "esc10", "src_file")):
        if values["esc10"] == "True":
            # The name becomes a path, so it must be no more than a name.
            if not re.fullmatch(r"[\w-]+\.wav", values["filename"], re.ASCII):
                raise DataError(
                    f"{table}, line {line}: {values['filename']!r} is not the name of a recording of ESC-50"
                )
            clips.append(Esc10Clip(values["filename"], values["category"], values["fold"], values["src_file"]))
    if flaw := counts_flaw(clips):
        raise DataError(f"{table}: is not ESC-50's table, since {flaw}")
    return sorted(clips)


def counts_flaw(clips: list[Esc10Clip]) -> str:
    """What is wrong with the numbers of clips, classes, folds and groups; empty: nothing."""
    labels, folds = Counter(clip.label for clip in clips), Counter(clip.fold for clip in clips)
    if len({clip.filename for clip in clips}) != CLIPS:
        return f"it lists {len(clips)} clips of ESC-10, not {CLIPS} different ones"
    if len(labels) != CLASSES or set(labels.values()) != {CLIPS // CLASSES}:
        return f"it has not {CLIPS // CLASSES} clips in each of {CLASSES} classes, but {dict(labels)}"
    if len(folds) != FOLDS or set(folds.values()) != {CLIPS // FOLDS}:
        return f"it has not {CLIPS // FOLDS} clips in each of {FOLDS} folds, but {dict(folds)}"
    places = defaultdict(set)
    for clip in clips:
        places[clip.group].add(clip.fold)
    torn = first_few(sorted(group for group, where in places.items() if len(where) > 1))
    return f"the original recording {torn} lies in two folds" if torn else ""


def recording_flaw(path: Path) -> str:
    """What is wrong with a recording; empty: nothing."""
    import soundfile

    try:
        samples, sample_rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (soundfile.SoundFileError, OSError):
        return "it cannot be read as a recording"
    if (samples.shape, sample_rate) != ((FRAMES, 1), SAMPLE_RATE):
        shape = f"{len(samples):,} frames of {samples.shape[1]} channels at {sample_rate:,} Hz"
        return f"it has {shape}, not 5 s of mono at 44.1 kHz"
    return ""


def _table_flaw(path: Path) -> str:
    try:
        esc10_clips(path)
    except DataError as error:
        return str(error)
    return ""
