"""Find every fault of a DCASE 2020 Task 1B submission, for any content of the two files."""

from pathlib import Path

from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.form import LABEL, LABEL_FORM, META_ENDING, OUTPUT_ENDING
from scenelet.evaluation.submission.validate_meta import MAX_META_BYTES, check_meta
from scenelet.evaluation.submission.validate_output import MAX_OUTPUT_BYTES, check_output


def check_files(output: Path, meta: Path, partial: bool = False) -> list[Fault]:
    """Find the faults of a pair of files: first of the names, then of the output and of the meta information.

    Args:
        output: `<label>.output.csv`.
        meta: `<label>.meta.yaml`.
        partial: allow fewer rows than recordings.

    Raises:
        DataError: a file cannot be read.
    """
    return check_pair(
        output.name, _read(output, MAX_OUTPUT_BYTES), meta.name, _read(meta, MAX_META_BYTES), partial=partial
    )


def check_pair(output_name: str, output: bytes, meta_name: str, meta: bytes, *, partial: bool = False) -> list[Fault]:
    """Find the faults of a pair of files by their names and contents; see `check_files`. It raises no errors."""
    output_name, meta_name = escape_unprintable(output_name), escape_unprintable(meta_name)
    faults: list[Fault] = []
    first, second = _label(output_name, OUTPUT_ENDING, faults), _label(meta_name, META_ENDING, faults)
    if first and second and first != second:
        faults.append(Fault(meta_name, "", f"its name must begin with {first}, as that of {output_name} does"))
    faults += check_output(output_name, output, partial)
    faults += check_meta(meta_name, meta, second)
    return faults


def _label(name: str, ending: str, faults: list[Fault]) -> str | None:
    """Return the submission's label in a file name; without one, add a fault and return None."""
    label = name.removesuffix(ending)
    if label != name and LABEL.fullmatch(label):
        return label
    faults.append(Fault(name, "", f"its name must be <label>{ending}, where the label is {LABEL_FORM}"))
    return None


def _read(path: Path, max_bytes: int) -> bytes:
    """Read a file, or just enough of it to show that it is too large."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file of a submission") from None
