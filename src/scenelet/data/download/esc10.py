"""ESC-10, taken from the public repository of ESC-50: its files, and what is checked.

Checked: each recording can be decoded to its end and is 5 s of mono at 44.1 kHz; there are 400 clips, 40 in each of
10 classes and 80 in each of 5 folds; no original recording is in two folds. Not checked: that the samples are the
published ones, because no checksums of single recordings are published. The protection against other samples is the
server's certificate (https) and the commit in the address, whose content cannot change.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scenelet.audio.io import blocks
from scenelet.data.delimited import read_rows
from scenelet.data.download.http import RemoteFile
from scenelet.errors import AudioError, DataError
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
    """A clip of ESC-10; `group` is the original recording that it was cut from."""

    filename: str
    label: str
    fold: str
    group: str
    license: str = LICENSE


@dataclass(frozen=True)
class Esc10:
    """ESC-10 in a folder: `audio/*.wav` and `meta.csv`, which is written last.

    Attributes:
        root: folder of the set.
        downloads: folder for the repository's table until the set is complete.
        base: address of the repository's files.
        keep_table: whether that table stays in `downloads`.
        terms: license and citation.
    """

    root: Path
    downloads: Path
    base: str = REPOSITORY
    keep_table: bool = False
    terms: str = TERMS

    def is_complete(self) -> bool:
        """Check whether the set is fetched."""
        return (self.root / "meta.csv").is_file()

    def bytes_left(self) -> int:
        """Count the bytes to download."""
        return WAV_BYTES * max(CLIPS - len(list(self.root.glob("audio/*.wav"))), 0)

    disk_needed = bytes_left

    def download(self, get: Callable[[RemoteFile], None]) -> None:
        """Download the missing files, and check each. Raises as `http.download`."""

        def get_file(name: str, path: Path, find_fault: Callable[[Path], str]) -> None:
            # a mirror is a host that the user named, and no other one replaces it
            get(RemoteFile(f"{self.base}/{name}", path, None, find_fault, same_host=self.base != REPOSITORY))

        table = self.downloads / Path(TABLE).name
        get_file(TABLE, table, _table_fault)
        clips = esc10_clips(table)
        for clip in clips:
            get_file(f"audio/{clip.filename}", self.root / "audio" / clip.filename, recording_fault)
        if not self.keep_table:
            table.unlink()  # before `meta.csv` exists, since no later call looks at `downloads`
        replace_file(self.root / "meta.csv", csv_text(Esc10Clip._fields, clips))

    def check(self) -> None:
        """Check that the folder is the complete set; raise DataError if it is not."""
        meta = self.root / "meta.csv"
        rows = read_rows(meta, Esc10Clip._fields)
        clips = [Esc10Clip(*(row.values[name] for name in Esc10Clip._fields)) for row in rows]
        faults = ((name, recording_fault(self.root / "audio" / name)) for name, *_ in clips)
        if fault := counts_fault(clips) or next((f"{name}: {fault}" for name, fault in faults if fault), ""):
            raise DataError(f"{meta}: not the published set ({fault}); delete this table and run the command again")


def esc10_clips(table: Path) -> list[Esc10Clip]:
    """Read the clips of ESC-10 from the repository's table, sorted by name; raise DataError for another table."""
    clips = []
    for line, values in read_rows(table, ("filename", "fold", "category", "esc10", "src_file")):
        if values["esc10"] == "True":
            # the name becomes part of a path, so it must not contain one
            if not re.fullmatch(r"[\w-]+\.wav", name := values["filename"], re.ASCII):
                raise DataError(f"{table}, line {line}: {name!r} is not the name of a recording of ESC-50")
            clips.append(Esc10Clip(name, values["category"], values["fold"], values["src_file"]))
    if fault := counts_fault(clips):
        raise DataError(f"{table}: not the table of ESC-50 ({fault})")
    return sorted(clips)


def counts_fault(clips: list[Esc10Clip]) -> str:
    """Say what is wrong with the numbers of clips, classes, folds and groups; an empty string if they are right.

    Example:
        >>> counts_fault([Esc10Clip("1-1-A-0.wav", "dog", "1", "1")])
        'it lists 1 clips of ESC-10, not 400 different ones'
    """
    if len({clip.filename for clip in clips}) != CLIPS:
        return f"it lists {len(clips)} clips of ESC-10, not {CLIPS} different ones"
    labels, folds = Counter(clip.label for clip in clips), Counter(clip.fold for clip in clips)
    for counts, number, noun in ((labels, CLASSES, "classes"), (folds, FOLDS, "folds")):
        if len(counts) != number or set(counts.values()) != {CLIPS // number}:
            return f"it must have {CLIPS // number} clips in each of {number} {noun}, and has {dict(counts)}"
    group_folds = defaultdict(set)
    for clip in clips:
        group_folds[clip.group].add(clip.fold)
    divided = first_few(sorted(group for group, folds_of_group in group_folds.items() if len(folds_of_group) > 1))
    return f"the original recording {divided} is in two folds" if divided else ""


def recording_fault(path: Path) -> str:
    """Say what is wrong with a recording; an empty string if it is right. At most its first 5 s are read."""
    frames, wanted = 0, "not 5 s of mono at 44.1 kHz"
    try:
        for samples, sample_rate in blocks(path):
            frames += samples.shape[1]
            if (len(samples), sample_rate) != (1, SAMPLE_RATE):
                return f"it has {len(samples)} channels at {sample_rate:,} Hz, {wanted}"
            if frames > FRAMES:
                return f"it is longer than 5 s, {wanted}"
    except AudioError:
        return "it cannot be read as a recording"
    return f"it is shorter than 5 s, {wanted}" if frames < FRAMES else ""


def _table_fault(path: Path) -> str:
    try:
        esc10_clips(path)
    except DataError as error:
        return str(error)
    return ""
