"""ESC-50 and its subset ESC-10, taken clip by clip from the public repository of ESC-50.

Checked: the md5 of every recording, and that the written table lists the published clips. `esc50.csv` has the class and
the md5 of each clip. These md5s are published by the package soundata (0.1.3, its index of ESC-50). With the classes,
they agree with the md5 of the repository's table, which that index states too (a test computes it). The address names a
commit, whose content cannot change. Not checked: the license of each clip, which the repository's file LICENSE names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from scenelet.data.delimited import read_rows
from scenelet.data.download.http import RemoteFile, check_size_and_md5
from scenelet.errors import DataError
from scenelet.utils.files import csv_text, replace_file

REPOSITORY = "https://raw.githubusercontent.com/karolpiczak/ESC-50/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
CITATION = "K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015"
WAV_BYTES = 44 + 2 * 5 * 44_100
"""Size of a recording: 5 s of mono at 44.1 kHz, in 16 bits. It is not published, and only estimates downloads."""
COLUMNS = ("filename", "label", "fold", "group", "license")

ESC10_LABELS = "chainsaw clock_tick crackling_fire crying_baby dog helicopter rain rooster sea_waves sneezing"


class PublishedClip(NamedTuple):
    """A clip of ESC-50, whose file is named FOLD-RECORDING-TAKE-CLASS.wav."""

    filename: str
    label: str
    md5: str

    @property
    def fold(self) -> str:
        """Fold of the author's cross-validation."""
        return self.filename.split("-")[0]

    @property
    def group(self) -> str:
        """Number of the original recording that the clip was cut from."""
        return self.filename.split("-")[1]


class EscFacts(NamedTuple):
    """Name, license and labels of ESC-50 or ESC-10; no labels: all of them."""

    name: str
    license: str
    use: str
    labels: frozenset[str] = frozenset()


ESC_SETS = {
    "esc10": EscFacts(
        "ESC-10",
        "CC-BY 3.0",
        "CC-BY 3.0 (Creative Commons Attribution): free for any use that names its source, which is",
        frozenset(ESC10_LABELS.split()),
    ),
    "esc50": EscFacts(
        "ESC-50",
        "CC-BY-NC 3.0",
        "CC-BY-NC 3.0 (Creative Commons Attribution-NonCommercial): free for non-commercial use that names its source,"
        " which is",
    ),
}


def published_clips() -> list[PublishedClip]:
    """List the clips of ESC-50, ordered by file name.

    >>> clip = published_clips()[0]
    >>> clip.filename, clip.label, clip.fold, clip.group
    ('1-100032-A-0.wav', 'dog', '1', '100032')
    """
    with resources.as_file(resources.files(__package__) / "esc50.csv") as path:
        rows = read_rows(path, PublishedClip._fields)
    return [PublishedClip(*(row.values[name] for name in PublishedClip._fields)) for row in rows]


@dataclass(frozen=True)
class EscRoot:
    """ESC-50 or ESC-10 in a folder: `audio/*.wav` and `meta.csv`, which is written last.

    Attributes:
        root: folder of the set.
        facts: which of the two it is.
        clips: its clips, ordered by file name.
        base: address of the repository's files.
    """

    root: Path
    facts: EscFacts
    clips: tuple[PublishedClip, ...]
    base: str = REPOSITORY

    @property
    def terms(self) -> str:
        """License and citation."""
        return f"{self.facts.name}: {self.facts.use}: {CITATION}."

    def is_complete(self) -> bool:
        """Check whether the set is fetched."""
        return self._table.is_file()

    def bytes_left(self) -> int:
        """Estimate the bytes to download."""
        return WAV_BYTES * sum(not self._path(clip).is_file() for clip in self.clips)

    disk_needed = bytes_left

    def download(self, get: Callable[[RemoteFile], None]) -> None:
        """Download the missing recordings, and check each. Raises as `http.download`."""
        for clip in self.clips:
            url, find_fault = f"{self.base}/audio/{clip.filename}", check_size_and_md5(None, clip.md5)
            # a mirror is a host that the user named, and no other one replaces it
            get(RemoteFile(url, self._path(clip), None, find_fault, same_host=self.base != REPOSITORY))
        replace_file(self._table, self._table_text())

    def check(self) -> None:
        """Check that the folder is the complete set; raise DataError if it is not."""
        matches = self._table.read_bytes() == self._table_text().encode()
        faults = (f"{clip.filename}: {fault}" for clip in self.clips if (fault := self._fault(clip)))
        if fault := next(faults, "") if matches else "its clips or columns differ":
            raise DataError(f"{self._table}: not the published set ({fault}); delete it and run the command again")

    def _fault(self, clip: PublishedClip) -> str:
        path = self._path(clip)
        return check_size_and_md5(None, clip.md5)(path) if path.is_file() else "it is missing"

    @property
    def _table(self) -> Path:
        return self.root / "meta.csv"

    def _path(self, clip: PublishedClip) -> Path:
        return self.root / "audio" / clip.filename

    def _table_text(self) -> str:
        rows = ((clip.filename, clip.label, clip.fold, clip.group, self.facts.license) for clip in self.clips)
        return csv_text(COLUMNS, rows)


def esc_root(name: str, out: Path, mirror: str | None = None) -> EscRoot:
    """Return the set of a name in `ESC_SETS`, with its folder in `out`.

    >>> len(esc_root("esc10", Path("data")).clips), len(esc_root("esc50", Path("data")).clips)
    (400, 2000)
    """
    facts = ESC_SETS[name]
    clips = tuple(clip for clip in published_clips() if not facts.labels or clip.label in facts.labels)
    return EscRoot(out / facts.name, facts, clips, mirror or REPOSITORY)
