"""Format of the two files of a DCASE 2020 Task 1B submission.

Sources: the challenge's submission page and its validator, dcase2020_task1_submission_validator.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

LABELS = ("indoor", "outdoor", "transportation")
COLUMNS = ("filename", "scene_label", *LABELS)
RECORDINGS = 8640
"""Number of recordings in the evaluation set, `0.wav` to `8639.wav`, with one row each."""
MAX_ABBREVIATION_LENGTH = 10
MAX_MODEL_BYTES = 500 * 1024
BYTES_PER_KB = 1024
"""The challenge's KB, the unit of `model_size`."""
OUTPUT_ENDING, META_ENDING = ".output.csv", ".meta.yaml"

LABEL = re.compile(r"(?:[^\W_]|-)+_(?:[^\W_]|-)+_task1b_[1-4]")
LABEL_FORM = "<Name>_<Institute>_task1b_<1 to 4>, with letters, digits and hyphens between three underscores"
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
URL = re.compile(r"https?://\S+")
FILENAME = re.compile(r"(0|[1-9][0-9]*)\.wav")

UNITS = 10**9
"""Probabilities are written as integer multiples of 1 / UNITS."""


class OutputRow(NamedTuple):
    """A row of the system output.

    Attributes:
        number: number of the recording in the evaluation set.
        label: the predicted class.
        probabilities: label -> probability.
    """

    number: int
    label: str
    probabilities: Mapping[str, float]


def output_text(rows: Iterable[OutputRow]) -> str:
    """Format the system output: tab-separated, with a header and one line per recording.

    Probabilities have nine decimals. Those of the other classes are rounded down, and the predicted class gets the
    rest. A row thus sums to exactly 1, and the predicted class remains the most probable one.

    >>> row = OutputRow(7, "outdoor", {"indoor": 0.25, "outdoor": 0.5, "transportation": 0.25})
    >>> output_text([row]).splitlines()[1].split("\\t")
    ['7.wav', 'outdoor', '0.250000000', '0.500000000', '0.250000000']
    """
    lines = ["\t".join(COLUMNS)]
    for row in rows:
        total = sum(row.probabilities.values())
        units = {label: int(row.probabilities[label] / total * UNITS) for label in LABELS}
        units[row.label] = UNITS - sum(count for label, count in units.items() if label != row.label)
        decimals = (f"{count // UNITS}.{count % UNITS:09d}" for count in units.values())
        lines.append("\t".join((f"{row.number}.wav", row.label, *decimals)))
    return "\n".join(lines) + "\n"


def meta_text(meta: Mapping[str, Any]) -> str:
    """Format the meta information as YAML, in the order of its sections."""
    import yaml  # imported late, since only submissions need it

    body: str = yaml.safe_dump(dict(meta), sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)
    return (
        "# DCASE 2020 Task 1B, written by scenelet submit. Accuracies in percent, model_size in KB of 1024 bytes.\n"
        + body
    )


def key_path(*parts: str | int) -> str:
    """Format the path of a key; list items are numbered from 1.

    >>> key_path("authors", 1, "email")
    'authors #2.email'
    """
    text = ""
    for part in parts:
        text += f" #{part + 1}" if isinstance(part, int) else f".{part}" if text else part
    return text
