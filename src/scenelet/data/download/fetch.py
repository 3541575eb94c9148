"""Fetch a public data set: accept its license, download it, check it."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from scenelet.data.download.esc50 import ESC_SETS, EscRoot, esc_root
from scenelet.data.download.http import RemoteFile, download
from scenelet.data.download.session import Web
from scenelet.data.download.unzip import check_disk_space
from scenelet.data.download.zenodo import TauRoot, tau_archives
from scenelet.data.tau_sets import LICENSE, TAU_2019, TAU_2020_3CLASS, TAU_2020_MOBILE, TAU_2022_MOBILE, TauSet
from scenelet.errors import UsageError, did_you_mean
from scenelet.utils.console import print_message, progress_bar, progress_lines
from scenelet.utils.locks import file_lock

TAU_SETS = {
    "tau2020-3class": TAU_2020_3CLASS,
    "tau2019": TAU_2019,
    "tau2020-mobile": TAU_2020_MOBILE,
    "tau2022-mobile": TAU_2022_MOBILE,
}
DATA_SETS = (*ESC_SETS, *TAU_SETS)
EVALUATIONS = {
    "tau2020-3class": "TAU-urban-acoustic-scenes-2020-3class-evaluation",
    "tau2020-mobile": "TAU-urban-acoustic-scenes-2021-mobile-evaluation",
    "tau2022-mobile": "TAU-urban-acoustic-scenes-2022-mobile-evaluation",
}
"""Evaluation set of the challenge for which a set was the development set: DCASE 2020 Task 1B, 2021 Task 1A, 2022."""

DataSet = EscRoot | TauRoot


def dataset_parts(
    name: str, out: Path, evaluation: bool = False, mirror: str | None = None, keep_archives: bool = False
) -> list[DataSet]:
    """List the data sets that a name stands for, each with its folder in `out`.

    Args:
        name: one of `DATA_SETS`.
        out: folder that the sets' own folders go into.
        evaluation: add the evaluation set, if it is one of `EVALUATIONS`.
        mirror: address that has the same files.
        keep_archives: keep the downloaded archives of a TAU set.

    Raises:
        UsageError: the name is unknown, an option does not go with it, or the mirror is not an address.

    Example:
        >>> [part.root.name for part in dataset_parts("esc10", Path("data"))]
        ['ESC-10']
    """
    if name not in DATA_SETS:
        known = ", ".join(DATA_SETS) + did_you_mean(name, DATA_SETS)
        raise UsageError(f"no data set is named {name!r}; there are {known}")
    if evaluation and name not in EVALUATIONS:
        raise UsageError(f"--evaluation goes with {', '.join(EVALUATIONS)}, not with {name}")
    if mirror is not None:
        mirror = mirror.rstrip("/")
        if urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).netloc:
            raise UsageError(f"--mirror {mirror}: not an address; it begins with https:// or http://")
    if name in ESC_SETS:
        return [esc_root(name, out, mirror)]
    facts = TAU_SETS[name]
    terms = f"{facts.name} (doi {facts.doi}): {LICENSE} Cite: {facts.citation}"
    roots: list[tuple[str, str, TauSet | None]] = [(facts.name, terms, facts)]
    if evaluation:
        roots.append((EVALUATIONS[name], f"{EVALUATIONS[name]}: the same license.", None))
    return [
        TauRoot(out / folder, out / "downloads", terms, tau_archives(folder), published, mirror, keep_archives)
        for folder, terms, published in roots
    ]


def fetch(parts: Sequence[DataSet], out: Path, accept: Callable[[], bool]) -> None:
    """Fetch the missing files of data sets. An interrupted call resumes where it stopped.

    Args:
        parts: result of `dataset_parts`.
        out: folder that the sets' own folders go into.
        accept: asks whether the user accepts the license, which is printed first. Nothing is written before.

    Raises:
        UsageError: the license was not accepted.
        DataError: a file cannot be downloaded, or the result is not the published set.
        OutputError: the disk is full, a file cannot be written, or another `fetch` is writing to `out`.
    """
    with Web() as web:
        missing = [part for part in parts if not part.is_complete()]
        if missing:
            total = sum(part.bytes_left() for part in missing)
            check_disk_space(out, sum(part.disk_needed() for part in missing))
            print_message("\n".join(part.terms for part in missing))
            print_message(f"Download size: {total / 1e6:,.0f} MB, into {out}")
            if not accept():
                raise UsageError("the license was not accepted, so nothing was downloaded; --accept-license accepts it")
            # without the lock, two processes would append to the same file
            with file_lock(out / ".fetch.lock", f"{out}: another fetch is writing there; wait until it ends"):
                _download(web, missing, total)
        with contextlib.suppress(OSError):  # it has archives, or does not exist
            (out / "downloads").rmdir()
    for part in parts:
        part.check()
        state = "complete and checked" if part in missing else "already fetched, nothing to download"
        print_message(f"{part.root}: {state}")


def _download(web: Web, missing: Sequence[DataSet], total: int) -> None:
    """Download data sets under one progress bar over all their bytes."""
    bar = progress_bar()
    task = bar.add_task("Download in MB", total=total / 1e6, note="")
    with bar, progress_lines(bar):

        def get(remote: RemoteFile) -> None:
            before = bar.tasks[0].completed - remote.bytes_on_disk / 1e6

            def show(written: int) -> None:
                bar.update(task, completed=before + written / 1e6, note=remote.path.name)

            download(web, remote, show)

        for part in missing:
            part.download(get)
