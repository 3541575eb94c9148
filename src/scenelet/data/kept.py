"""Measures of recordings, kept beside the feature cache, so that training need not read again what `check` has read.

One file for each data root, a line of JSON for each recording; the last line of a recording counts. A recording is its
name, size and time of change, as in the feature cache.
"""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import filelock
import numpy as np
from numpy.typing import NDArray

from scenelet.data.cache import identity
from scenelet.data.measure import Measured, Refused, measure_or_refuse
from scenelet.data.table import Clip
from scenelet.errors import AudioError
from scenelet.files import cache_folder
from scenelet.parallel import map_processes

FORMAT = 1  # raise it when the same recording is measured otherwise
ARRAYS = {"texture": "<f4", "codes": "<u4"}


def measure_all(
    clips: Sequence[Clip], root: Path, cache_dir: Path | None = None, workers: int | None = None, again: bool = False
) -> Iterator[Measured | Refused]:
    """Yield what each clip measures, in their order; what was measured now is kept.

    Args:
        clips: the clips.
        root: of the data.
        cache_dir: where it is kept; None: `scenelet.files.cache_folder()`.
        workers: processes; None: one a processor.
        again: read every recording, whatever is kept.
    """
    name = hashlib.sha256(f"{FORMAT} {root.resolve()}".encode(errors="surrogateescape")).hexdigest()[:16]
    path = (cache_dir or cache_folder()) / f"measures-{name}.jsonl"
    names = [_identity(clip) for clip in clips]
    with _locked(path) as writable:
        kept = {} if again else _read(path, set(names))
        missing = [clip.path for clip, own in zip(clips, names, strict=True) if own not in kept]
        new = map_processes(measure_or_refuse, missing, workers)
        with _lines(path, writable and bool(missing), again) as lines:
            for own in names:
                result = kept.pop(own, None) or next(new)
                if lines is not None and own and isinstance(result, Measured):
                    lines.write(json.dumps([own, _plain(result)]) + "\n")
                yield result


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether measures can be kept: a folder that cannot be written, or is in use, costs time and nothing else."""
    lock = filelock.FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, filelock.Timeout):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def _lines(path: Path, wanted: bool, again: bool) -> Iterator[TextIO | None]:
    if not wanted:
        yield None
        return
    if not again and path.exists():  # a last line that was cut must not join the next one
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            path.write_bytes(data[: data.rfind(b"\n") + 1])
    with path.open("w" if again else "a", encoding="ascii", newline="\n") as lines:
        yield lines


def _read(path: Path, wanted: set[str]) -> dict[str, Measured]:
    kept: dict[str, Measured] = {}
    try:
        with path.open(encoding="ascii") as lines:
            for line in lines:
                own, values = json.loads(line)
                if own in wanted:
                    kept[own] = _measured(values)
    except (OSError, ValueError, TypeError, KeyError):
        pass  # none yet, or damaged from here on: what is missing is measured again
    return kept


def _plain(measured: Measured) -> dict[str, Any]:
    arrays = {key: base64.b64encode(getattr(measured, key).astype(kind).tobytes()) for key, kind in ARRAYS.items()}
    return vars(measured) | {key: value.decode() for key, value in arrays.items()}


def _measured(values: dict[str, Any]) -> Measured:
    arrays: dict[str, NDArray[Any]] = {
        key: np.frombuffer(base64.b64decode(values[key]), kind) for key, kind in ARRAYS.items()
    }
    return Measured(**(values | arrays | {"constant": tuple(values["constant"])}))


def _identity(clip: Clip) -> str:
    try:
        return identity(clip)
    except AudioError:
        return ""  # not there, which measuring it will say
