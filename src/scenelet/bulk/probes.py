"""Probes: some recordings on disk that every machine of a job must see alike."""

import hashlib
import socket
from collections.abc import Iterable
from typing import NamedTuple

from scenelet.bulk.job import Job, read_inputs
from scenelet.bulk.storage import Folder
from scenelet.bulk.urls import is_url, join, strip_file_scheme
from scenelet.errors import DataError

MAX_PROBES, PROBE_BYTES = 8, 1 << 16
"""Number of recordings that are compared, and the bytes of each."""


class Probe(NamedTuple):
    """A recording on disk, and the hash of its beginning where the command was started."""

    path: str
    digest: str


def sample_inputs(job: Job, folder: Folder) -> tuple[Probe, ...]:
    """Return some recordings on disk as this machine sees them, spread over the whole job."""
    shards = sorted({job.shards * k // MAX_PROBES for k in range(MAX_PROBES)})
    paths = [strip_file_scheme(join(job.base, read_inputs(job, folder, shard)[0])) for shard in shards]
    probes = [Probe(path, _fingerprint(path)) for path in paths if not is_url(path)]
    return tuple(probe for probe in probes if probe.digest)


def check_probes(probes: Iterable[Probe]) -> None:
    """Check that this machine sees the recordings that the one with the command sees.

    Raises:
        DataError: a recording is missing or another one, so the others are too.
    """
    for path, digest in probes:
        if (found := _fingerprint(path)) != digest:
            state = f"{'is another file' if found else 'cannot be read'} on the machine {socket.gethostname()}"
            raise DataError(f"{path}: {state}; mount the folder of the recordings at the same path on every machine")


def _fingerprint(path: str) -> str:
    """Return the hash of a file's first bytes, or an empty text if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(PROBE_BYTES)).hexdigest()
    except (OSError, ValueError):
        return ""
