"""TAU data sets as published on Zenodo: archives that are downloaded, unpacked and deleted one after the other.

Checked: the size and md5 of every archive, the checksum of every file in it, that each recording of the tables
exists, the number of recordings per class of the official split, and that per device of the mobile sets. An evaluation
set has no labels: its archives and the files in them are all that is checked. `checksums.csv` has the sizes and md5.
Those of the mobile sets are from the package dcase_util 0.2.20.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from scenelet.data.delimited import read_rows
from scenelet.data.download.http import RemoteFile, check_size_and_md5
from scenelet.data.download.unzip import unzip
from scenelet.data.tau import load_tau
from scenelet.data.tau_sets import TauSet
from scenelet.errors import DataError
from scenelet.utils.files import replace_file

UNPACKED_BYTES_PER_BYTE = 1.2
"""Size of the recordings relative to their archives: 14,400 clips of 2.88 MB in 35.5 GB, plus a margin."""

STATUS_NAME = ".fetched"
"""File in the root that lists the unpacked archives, one per line. " delete" follows if the archive is still there."""
DELETE = "delete"


class Archive(NamedTuple):
    """A published zip archive: its address, size in bytes and md5."""

    url: str
    size: int
    md5: str

    @property
    def name(self) -> str:
        """File name."""
        return self.url.rpartition("/")[2]


def tau_archives(name: str) -> tuple[Archive, ...]:
    """List the archives of a TAU set; the small ones (doc, meta) come first.

    Example:
        >>> len(tau_archives("TAU-urban-acoustic-scenes-2020-3class-development"))
        23
    """
    with resources.as_file(resources.files(__package__) / "checksums.csv") as path:
        rows = [row.values for row in read_rows(path, ("dataset", "url", "bytes", "md5"))]
    return tuple(Archive(row["url"], int(row["bytes"]), row["md5"]) for row in rows if row["dataset"] == name)


@dataclass(frozen=True)
class TauRoot:
    """A TAU set in a folder.

    Attributes:
        root: folder of the set, with the set's name.
        downloads: folder for the archives until they are unpacked.
        terms: license and citation.
        archives: archives of the set.
        facts: published counts to check the set with; None for an evaluation set.
        mirror: address to take the archives from instead of the published one.
        keep_archives: whether archives stay in `downloads`.
    """

    root: Path
    downloads: Path
    terms: str
    archives: tuple[Archive, ...]
    facts: TauSet | None
    mirror: str | None = None
    keep_archives: bool = False

    def is_complete(self) -> bool:
        """Check whether every archive is unpacked, and deleted unless it is to be kept."""
        return not self._missing() and DELETE not in self._read_status().values()

    def bytes_left(self) -> int:
        """Count the bytes to download."""
        return sum(archive.size - self._remote(archive).bytes_on_disk for archive in self._missing())

    def disk_needed(self) -> int:
        """Count the bytes that must be free on the disk."""
        sizes = [archive.size for archive in self._missing()]
        archives = 0 if self.keep_archives else max(sizes, default=0) - sum(sizes)  # one at a time
        return max(int(UNPACKED_BYTES_PER_BYTE * sum(sizes)) + archives + self.bytes_left(), 0)

    def download(self, get: Callable[[RemoteFile], None]) -> None:
        """Download and unpack the missing archives. Raises as `http.download` and `unzip` do."""
        self._delete_unpacked()
        for archive in self._missing():
            remote = self._remote(archive)
            get(remote)
            unzip(remote.path, self.root)
            self._write_status(self._read_status() | {archive.name: "" if self.keep_archives else DELETE})
            self._delete_unpacked()

    def check(self) -> None:
        """Check that the folder is the published set; raise DataError if it is not."""
        if self.facts is None:
            return
        fix = f"delete {self.root / STATUS_NAME} and run the command again to fetch it again"
        try:
            clips = load_tau(self.root, training_lists=False).clips
        except DataError as error:
            raise DataError(f"{self.root}: not the published set ({error}); {fix}") from None
        splits = {"train": self.facts.train, "test": self.facts.test}
        published = {f"of {label} in {name}": n for name, classes in splits.items() for label, n in classes.items()}
        found = Counter(f"of {clip.label} in {clip.split}" for clip in clips if clip.split is not None)
        if self.facts.devices:
            published |= {f"of device {device}": count for device, count in self.facts.devices.items()}
            found += Counter(f"of device {clip.device}" for clip in clips)
        for what in sorted({*published, *found}):
            if found[what] != published.get(what, 0):
                fault = f"{found[what]:,} recordings {what}, and the published set has {published.get(what, 0):,}"
                raise DataError(f"{self.root}: {fault}; {fix}")

    def _missing(self) -> list[Archive]:
        unpacked = self._read_status()
        return [archive for archive in self.archives if archive.name not in unpacked]

    def _read_status(self) -> dict[str, str]:
        """Read the record of unpacked archives: `DELETE` or an empty string for each name."""
        status = self.root / STATUS_NAME
        lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
        return {name: word for name, _, word in (line.partition(" ") for line in lines) if name}

    def _write_status(self, status: Mapping[str, str]) -> None:
        lines = (f"{name} {status[name]}".strip() + "\n" for name in sorted(status))
        replace_file(self.root / STATUS_NAME, "".join(lines))

    def _delete_unpacked(self) -> None:
        """Delete archives that are unpacked and not to be kept, also those of an interrupted call."""
        status = self._read_status()
        if DELETE in status.values():
            for archive in self.archives:
                if status.get(archive.name) == DELETE:
                    (self.downloads / archive.name).unlink(missing_ok=True)
            self._write_status(dict.fromkeys(status, ""))

    def _remote(self, archive: Archive) -> RemoteFile:
        url = archive.url if self.mirror is None else f"{self.mirror}/{archive.name}"
        find_fault = check_size_and_md5(archive.size, archive.md5)
        is_mirror = self.mirror is not None
        return RemoteFile(url, self.downloads / archive.name, archive.size, find_fault, same_host=is_mirror)
