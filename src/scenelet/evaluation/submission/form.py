"""Format of the two files of a DCASE 2020 Task 1B submission.

Sources: the challenge's submission page and its validator, dcase2020_task1_submission_validator.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

LABELS = ("indoor", "outdoor", "transportation")
COLUMNS = ("filename", "scene_label", *LABELS)
RECORDINGS = 8640  # in the evaluation set, `0.wav` to `8639.wav`, with one row each
MAX_ABBREVIATION_LENGTH = 10
MAX_MODEL_BYTES = 500 * 1024
BYTES_PER_KB = 1024  # the challenge's KB, the unit of `model_size`
OUTPUT_ENDING, META_ENDING = ".output.csv", ".meta.yaml"

LABEL = re.compile(r"(?:[^\W_]|-)+_(?:[^\W_]|-)+_task1b_[1-4]")
LABEL_FORM = "<Name>_<Institute>_task1b_<1 to 4>, with letters, digits and hyphens between three underscores"
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
URL = re.compile(r"https?://\S+")
FILENAME = re.compile(r"(0|[1-9][0-9]*)\.wav")

UNITS = 10**9  # probabilities are written as integer multiples of 1 / UNITS


def output_text(rows: Iterable[tuple[int, str, Mapping[str, float]]]) -> str:
    """Format the system output: tab-separated, with a header and one line per recording.

    Probabilities have nine decimals. Those of the other classes are rounded down, and the predicted class gets the
    rest. A row thus sums to exactly 1, and the predicted class remains the most probable one.

    Args:
        rows: number of the recording in the evaluation set, predicted class, and label -> probability.

    >>> row = 7, "outdoor", {"indoor": 0.25, "outdoor": 0.5, "transportation": 0.25}
    >>> output_text([row]).split()[-5:]
    ['7.wav', 'outdoor', '0.250000000', '0.500000000', '0.250000000']
    """
    lines = ["\t".join(COLUMNS)]
    for number, answer, probabilities in rows:
        units = {label: int(probabilities[label] / sum(probabilities.values()) * UNITS) for label in LABELS}
        units[answer] += UNITS - sum(units.values())
        decimals = (f"{count // UNITS}.{count % UNITS:09d}" for count in units.values())
        lines.append("\t".join((f"{number}.wav", answer, *decimals)))
    return "\n".join(lines) + "\n"


def meta_text(meta: Mapping[str, Any]) -> str:
    """Format the meta information as YAML, in the order of its sections."""
    import yaml  # imported late, since only submissions need it

    comment = "# DCASE 2020 Task 1B, written by scenelet submit. Accuracies in percent, model_size in KB of 1024 bytes."
    body = yaml.safe_dump(dict(meta), sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)
    return f"{comment}\n{body}"


def key_path(*parts: str | int) -> str:
    """Format the path of a key; list items are numbered from 1.

    >>> key_path("authors", 1, "email")
    'authors #2.email'
    """
    text = ""
    for part in parts:
        text += f" #{part + 1}" if isinstance(part, int) else f".{part}" if text else part
    return text
