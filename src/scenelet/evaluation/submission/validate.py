"""Find every fault of the files of one system, for any content of them."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.challenge import META_ENDING, OUTPUT_END, Challenge
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.evaluation.submission.validate_output import check_output, max_output_bytes
from scenelet.evaluation.submission.yaml_text import MAX_META_BYTES

Read = Callable[[], bytes]
"""Function that reads a file, but not more than `max_bytes` of it."""


def max_bytes(challenge: Challenge) -> int:
    """Return how many bytes of a file are enough to check it, or to show that it is too large."""
    return max(max_output_bytes(challenge), MAX_META_BYTES) + 1


def check_files(paths: Sequence[Path], challenge: Challenge, partial: bool = False) -> list[Fault]:
    """Find the faults of the files of one system: the outputs and the meta information, in any order.

    Args:
        paths: `<label>.output.csv`, or one per training split, and `<label>.meta.yaml`.
        challenge: the year's challenge.
        partial: allow fewer rows than recordings.

    Raises:
        DataError: a file cannot be read.
    """

    files = [(path.name, functools.partial(read_file, path, max_bytes(challenge))) for path in paths]
    return check_system(files, challenge, partial=partial)


def read_file(path: Path, limit: int) -> bytes:
    """Read at most `limit` bytes of a file of a submission. Raises DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file of a submission") from None


def check_system(
    files: Sequence[tuple[str, Read]], challenge: Challenge, label: str | None = None, *, partial: bool = False
) -> list[Fault]:
    """Find the faults of the files of one system by their names and contents: first of all names, then of each file.

    Args:
        files: name and reader of each file.
        challenge: the year's challenge.
        label: the label that all names must have; None takes that of the first file.
        partial: allow fewer rows than recordings.
    """
    endings = (*challenge.output_endings, META_ENDING)
    faults, missing = list[Fault](), list(endings)
    contents = list[tuple[str, str | None, Read]]()
    for raw_name, read in files:
        name = escape_unprintable(raw_name)
        ending = next((one for one in endings if name.endswith(one)), None)
        own = name.removesuffix(ending) if ending else None
        if own is None or not challenge.label_pattern.fullmatch(own):
            faults.append(
                Fault(name, "", f"its name must be {_forms(endings)}, where the label is {challenge.label_form}")
            )
            own = None
        elif label is None:
            label = own
        elif own != label:
            faults.append(Fault(name, "", f"its name must begin with {label}, as the others do"))
        if ending in missing:
            missing.remove(ending)
        contents.append((name, own, read))
    faults += [Fault(f"{label or '<label>'}{ending}", "", "is missing; it must be added") for ending in missing]
    for name, own, read in contents:
        if name.endswith(OUTPUT_END):
            faults += check_output(name, read(), challenge, partial)
        elif name.endswith((".yaml", ".yml")):
            faults += check_meta(name, read(), challenge, own)
    return faults


def _forms(endings: Sequence[str]) -> str:
    return " or ".join(f"<label>{ending}" for ending in endings)
