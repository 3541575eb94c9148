"""The two files of a DCASE 2020 Task 1B submission: what the challenge asks of them, and how they are written.

Facts: the challenge's submission page and its validator, dcase2020_task1_submission_validator.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scenelet.utils.files import make_folder, replace_files

LABELS = ("indoor", "outdoor", "transportation")
COLUMNS = ("filename", "scene_label", *LABELS)
RECORDINGS = 8640
"""Recordings of the evaluation set, `0.wav` to `8639.wav`: a row each."""
MAX_ABBREVIATION = 10
"""Characters."""
MAX_MODEL_BYTES = 500 * 1024
BYTES_PER_KB = 1024
"""The challenge's KB, in which `model_size` is given."""
OUTPUT_ENDING, META_ENDING = ".output.csv", ".meta.yaml"

LABEL = re.compile(r"(?:[^\W_]|-)+_(?:[^\W_]|-)+_task1b_[1-4]")
LABEL_FORM = "<Name>_<Institute>_task1b_<1 to 4>, letters, digits and hyphens between three underscores"
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
URL = re.compile(r"https?://\S+")
FILENAME = re.compile(r"(0|[1-9][0-9]*)\.wav")

UNITS = 10**9
"""Probabilities are written as whole numbers of 1 / UNITS."""


class OutputRow(NamedTuple):
    """A recording's number in the evaluation set, its answer, and label -> probability."""

    number: int
    label: str
    probabilities: Mapping[str, float]


def output_text(rows: Iterable[OutputRow]) -> str:
    """Rows -> the system output: tab-separated, a header, a line a recording.

    Nine decimals, the others' cut off and the rest given to the answer: so a row sums to exactly 1,
    and an answer that was the most probable one still is.
    """
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        total = sum(row.probabilities.values())
        units = {label: int(row.probabilities[label] / total * UNITS) for label in LABELS}
        units[row.label] = UNITS - sum(count for label, count in units.items() if label != row.label)
        shares = (f"{count // UNITS}.{count % UNITS:09d}" for count in units.values())
        lines.append("\t".join((f"{row.number}.wav", row.label, *shares)))
    return "\n".join(lines) + "\n"


def meta_text(meta: Mapping[str, Any]) -> str:
    """Sections of plain values -> YAML, in their order."""
    import yaml  # only here and in the validator: no other command waits for it

    body: str = yaml.safe_dump(dict(meta), sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)
    return (
        "# DCASE 2020 Task 1B, written by scenelet submit. Accuracies in percent, model_size in KB of 1024 bytes.\n"
        + body
    )


def write_pair(folder: Path, label: str, output: str, meta: str) -> tuple[Path, Path]:
    """Write `<label>.output.csv` and `<label>.meta.yaml`, both or neither; returns their paths.

    Raises:
        OutputError: one cannot be written; what was there before is still there.
    """
    make_folder(folder)
    first, second = folder / f"{label}{OUTPUT_ENDING}", folder / f"{label}{META_ENDING}"
    replace_files({first: output, second: meta})
    return first, second


def key_path(*parts: str | int) -> str:
    """`("authors", 1, "email")` -> `"authors #2.email"`: people count from one."""
    text = ""
    for part in parts:
        text += f" #{part + 1}" if isinstance(part, int) else f".{part}" if text else part
    return text
