"""`fetch`: a public data set from its publisher to a checked root folder, its license accepted first."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scenelet.data.delimited import read_rows
from scenelet.data.download.esc10 import REPOSITORY, Esc10
from scenelet.data.download.http import WAITS, RemoteFile, download, open_session, size_and_md5
from scenelet.data.download.unzip import check_disk_space, unzip
from scenelet.data.tau import LICENSE, TAU_2019, TAU_2020_3CLASS, TauSet, load_tau
from scenelet.errors import DataError, UsageError, did_you_mean
from scenelet.utils.console import RateLimiter, print_message, progress_bar
from scenelet.utils.files import file_lock, replace_file

if TYPE_CHECKING:
    import requests

TAU_SETS = {"tau2020-3class": TAU_2020_3CLASS, "tau2019": TAU_2019}
DATA_SETS = ("esc10", *TAU_SETS)
EVALUATION = "TAU-urban-acoustic-scenes-2020-3class-evaluation"
UNPACKED = 1.2  # bytes of 24-bit WAV to a byte of their archives: 14,400 clips of 2.88 MB from 35.5 GB, and some room
NOTE = ".fetched"  # in a root: the archives that were unpacked into it, one a line; " delete": it still has to go
DELETE = "delete"


@dataclass(frozen=True)
class Archive:
    """A published zip archive: its address, bytes and md5."""

    url: str
    size: int
    md5: str

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


def tau_archives(name: str) -> tuple[Archive, ...]:
    """The archives of a TAU set, as Zenodo publishes them; the small ones (doc, meta) first."""
    with resources.as_file(resources.files(__package__) / "checksums.csv") as path:
        rows = [row.values for row in read_rows(path, ("dataset", "url", "bytes", "md5"))]
    return tuple(Archive(row["url"], int(row["bytes"]), row["md5"]) for row in rows if row["dataset"] == name)


@dataclass(frozen=True)
class TauRoot:
    """A TAU set in a folder. An archive is downloaded, unpacked and deleted before the next one.

    Checked: the bytes and md5 of every archive, the checksum of every file in it, that each
    recording in the tables is there, and the segments per class of the official split. Of an
    evaluation set, which has no labels, the archives and the files in them alone.

    Attributes:
        root: the folder, named as the set.
        downloads: where archives lie meanwhile.
        terms: its license and what to cite.
        archives: of the set.
        facts: to check it by; None: an evaluation set.
        mirror: address to take the archives from instead of their own.
        keep: leave the archives there.
    """

    root: Path
    downloads: Path
    terms: str
    archives: tuple[Archive, ...]
    facts: TauSet | None
    mirror: str | None = None
    keep: bool = False

    def finished(self) -> bool:
        """Whether every archive has been unpacked, and is gone unless it is to be kept."""
        return not self._missing() and DELETE not in self._note().values()

    def bytes_left(self) -> int:
        """Bytes to download."""
        return sum(archive.size - self._file(archive).there for archive in self._missing())

    def disk_needed(self) -> int:
        """Bytes that the disk must have free."""
        missing = [archive.size for archive in self._missing()]
        kept = sum(missing) if self.keep else max(missing, default=0)
        there = sum(self._file(archive).there for archive in self._missing())
        return max(int(UNPACKED * sum(missing)) + kept - there, 0)

    def run(self, get: Callable[[RemoteFile], None]) -> None:
        """Download and unpack the archives that are missing. Raises as `download` and `unzip` do."""
        self._delete()
        for archive in self._missing():
            remote = self._file(archive)
            get(remote)
            unzip(remote.path, self.root)
            self._write_note(self._note() | {archive.name: "" if self.keep else DELETE})
            self._delete()

    def check(self) -> None:
        """Raise DataError when the folder is not the published set."""
        if self.facts is None:
            return
        mend = f"delete {self.root / NOTE} and run the command again to fetch it anew"
        try:
            clips = load_tau(self.root).clips
        except DataError as error:
            raise DataError(f"{self.root}: not the published set ({error}); {mend}") from None
        for side, facts in (("train", self.facts.train), ("test", self.facts.test)):
            counts = Counter(clip.label for clip in clips if clip.split == side)
            for label in sorted({*facts, *counts}):
                if counts[label] != facts.get(label, 0):
                    raise DataError(
                        f"{self.root}: {counts[label]:,} segments of {label} in {side}, and the published set"
                        f" has {facts.get(label, 0):,}; {mend}"
                    )

    def _missing(self) -> list[Archive]:
        unpacked = self._note()
        return [archive for archive in self.archives if archive.name not in unpacked]

    def _note(self) -> dict[str, str]:
        """Each archive that was unpacked, and what is still to be done with it."""
        note = self.root / NOTE
        lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
        return {name: word for name, _, word in (line.partition(" ") for line in lines) if name}

    def _write_note(self, note: Mapping[str, str]) -> None:
        replace_file(self.root / NOTE, "".join(f"{name} {note[name]}".strip() + "\n" for name in sorted(note)))

    def _delete(self) -> None:
        note = self._note()
        spent = [archive for archive in self.archives if note.get(archive.name) == DELETE]
        for archive in spent:
            self._file(archive).path.unlink(missing_ok=True)
        if spent:
            self._write_note(dict.fromkeys(note, ""))

    def _file(self, archive: Archive) -> RemoteFile:
        url = archive.url if self.mirror is None else f"{self.mirror}/{archive.name}"
        return RemoteFile(url, self.downloads / archive.name, archive.size, size_and_md5(archive.size, archive.md5))


DataSet = Esc10 | TauRoot


def dataset_parts(
    name: str, out: Path, evaluation: bool = False, mirror: str | None = None, keep: bool = False
) -> list[DataSet]:
    """The sets that a name stands for, as folders in `out`.

    Raises:
        UsageError: an unknown name, an option that does not go with it, or a mirror that is no address.
    """
    if name not in DATA_SETS:
        raise UsageError(
            f"no data set is named {name!r}; there are {', '.join(DATA_SETS)}{did_you_mean(name, DATA_SETS)}"
        )
    if evaluation and name != "tau2020-3class":
        raise UsageError(f"--evaluation goes with tau2020-3class, not with {name}")
    if mirror is not None:
        mirror = mirror.rstrip("/")
        if urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).netloc:
            raise UsageError(f"--mirror {mirror}: not an address; it begins with https:// or http://")
    downloads = out / "downloads"
    if name == "esc10":
        return [Esc10(out / "ESC-10", downloads, mirror or REPOSITORY, keep)]
    facts = TAU_SETS[name]
    terms = f"{facts.name} (doi {facts.doi}): {LICENSE} Cite: {facts.citation}"
    sets: list[DataSet] = [TauRoot(out / facts.name, downloads, terms, tau_archives(facts.name), facts, mirror, keep)]
    if evaluation:
        terms = f"{EVALUATION}: the same license."
        sets.append(TauRoot(out / EVALUATION, downloads, terms, tau_archives(EVALUATION), None, mirror, keep))
    return sets


def fetch(sets: Sequence[DataSet], out: Path, agree: Callable[[], bool], waits: Sequence[float] = WAITS) -> None:
    """Fetch what is missing of the sets; a cut or killed fetch goes on where it stopped.

    Args:
        sets: of `dataset_parts`.
        out: the folder they go into.
        agree: asks whether the license, which was just said, is accepted; nothing is written before.
        waits: seconds before further attempts, as in `download`.

    Raises:
        UsageError: the license was not accepted.
        DataError: it cannot be downloaded, or is not the published set.
        OutputError: no space, it cannot be written, or another fetch is at work there.
    """
    with open_session() as session:
        missing = [each for each in sets if not each.finished()]
        if missing:
            total = sum(each.bytes_left() for each in missing)
            check_disk_space(out, sum(each.disk_needed() for each in missing))
            print_message("\n".join(each.terms for each in missing))
            print_message(f"To download into {out}: {total / 1e6:,.0f} MB")
            if not agree():
                raise UsageError("the license was not accepted, so nothing was downloaded; --accept-license accepts it")
            # two at work would both append to one file
            with file_lock(out / ".fetch.lock", f"{out}: another fetch is at work there; wait for its end"):
                _run(session, missing, total, waits)
        for each in sets:
            _remove_if_empty(each.downloads)
    for each in sets:
        each.check()
        print_message(
            f"{each.root}: {'complete and checked' if each in missing else 'fetched already, nothing to download'}"
        )


def _run(session: "requests.Session", missing: Sequence[DataSet], total: int, waits: Sequence[float]) -> None:
    lines = RateLimiter()
    with progress_bar() as bar:
        task = bar.add_task("MB", total=total / 1e6, note="")

        def get(remote: RemoteFile) -> None:
            before = bar.tasks[0].completed - remote.there / 1e6

            def show(have: int) -> None:
                bar.update(task, completed=before + have / 1e6, note=remote.path.name)
                if bar.disable and lines.due():
                    print_message(f"{remote.path.name}: {before + have / 1e6:,.0f} of {total / 1e6:,.0f} MB")

            download(session, remote, show, waits)

        for each in missing:
            each.run(get)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
