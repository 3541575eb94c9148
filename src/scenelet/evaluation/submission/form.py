"""Format of the files of a submission."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_ABBREVIATION_LENGTH = 10
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
URL = re.compile(r"https?://\S+")
FILENAME = re.compile(r"(0|[1-9][0-9]*)\.wav")

UNITS = 10**9  # probabilities are written as integer multiples of 1 / UNITS


def output_text(rows: Iterable[tuple[int, str, Mapping[str, float]]], labels: Sequence[str]) -> str:
    """Format a system output: tab-separated, with a header and one line per recording.

    Probabilities have nine decimals. Those of the other classes are rounded down, and the predicted class gets the
    rest. A row thus sums to exactly 1, and the predicted class remains the most probable one.

    Args:
        rows: number of the recording in the evaluation set, predicted class, and label -> probability.
        labels: the classes in the order of the columns.

    >>> row = 7, "outdoor", {"indoor": 0.25, "outdoor": 0.5, "transportation": 0.25}
    >>> output_text([row], ("indoor", "outdoor", "transportation")).split()[-5:]
    ['7.wav', 'outdoor', '0.250000000', '0.500000000', '0.250000000']
    """
    lines = ["\t".join(("filename", "scene_label", *labels))]
    for number, answer, probabilities in rows:
        total = sum(probabilities.values())
        units = {label: int(probabilities[label] / total * UNITS) for label in labels}
        units[answer] += UNITS - sum(units.values())
        decimals = (f"{count // UNITS}.{count % UNITS:09d}" for count in units.values())
        lines.append("\t".join((f"{number}.wav", answer, *decimals)))
    return "\n".join(lines) + "\n"


def meta_text(meta: Mapping[str, Any], title: str) -> str:
    """Format the meta information as YAML, in the order of its sections, below a comment with the challenge's title."""
    import yaml  # imported late, since only submissions need it

    units = (
        "Accuracies in percent, model_size in KB of 1024 bytes,\n# total_model_size in bytes, macs of one recording."
    )
    comment = f"# {title}, written by scenelet submit. {units}"
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
