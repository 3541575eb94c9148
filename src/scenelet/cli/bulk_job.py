"""Checks and output that `predict --out` and `extract`, the bulk jobs, share."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from scenelet.cli.options import RowFormat
from scenelet.errors import UsageError
from scenelet.utils.console import print_message, print_warning
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from scenelet.bulk.progress import JobSummary


LIST_EXTENSIONS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
"""Endings of lists of recordings, without an import of `scenelet.data`, which takes time."""


def get_single_source(paths: Sequence[str]) -> str:
    """Return the only manifest of a bulk job."""
    if len(paths) != 1:
        raise UsageError(f"--out takes one manifest or folder, not {len(paths)}; list the recordings in a CSV")
    return paths[0]


def refuse_bulk_options(paths: Sequence[str], **options: object) -> None:
    """Refuse options and paths that need --out."""
    given = next((name for name, value in options.items() if value is not None), None)
    if given is not None:
        raise UsageError(f"--{given} is for bulk jobs; give --out DIR too")
    table = next((path for path in paths if path.lower().endswith(LIST_EXTENSIONS)), None)
    if table is not None:
        raise UsageError(f"{table}: a list of recordings is read in bulk; give --out DIR too")
    url = next((path for path in paths if "://" in path), None)
    if url is not None:
        raise UsageError(f"{url}: URLs are read in bulk; list them in a CSV with the column url, and give --out DIR")


@contextlib.contextmanager
def discard_stdout() -> Iterator[None]:
    """Discard what Ray prints to stdout while a job runs; the job reports the same in its own words."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def print_summary(summary: "JobSummary", out: str, format: RowFormat) -> None:
    """Print the counts to stdout, and the first errors to stderr."""
    for error in summary.first_errors:
        print_warning(f"error: {error}")
    if summary.errors:
        more = summary.errors - len(summary.first_errors)
        listed = f"{out.rstrip('/')}/_job/errors.csv"
        print_warning(
            f"{f'and {more:,} more' if more else 'all'}: {listed}; when they are fixed, read them with --retry-errors"
        )
    about = asdict(summary)
    del about["first_errors"]
    if format is RowFormat.json:
        print(json.dumps({"out": out, **about}, indent=2))
    elif format is RowFormat.csv:
        print(",".join(about), ",".join(map(str, about.values())), sep="\n")
    else:
        counts = ("input", "window", "error", "part")
        print(", ".join(pluralize(about[f"{name}s"], name) for name in counts))
    if summary.workers:
        print_message(
            f"{pluralize(summary.workers, 'worker')}, each using at most {summary.peak_bytes / 1e6:,.0f} MB: {out}"
        )
