"""Find every fault of a system output, `<label>.output.csv`."""

import csv
import io
import itertools
import re

from scenelet.evaluation.submission.faults import Fault, decode_text, format_value
from scenelet.evaluation.submission.form import COLUMNS, FILENAME, LABELS, RECORDINGS
from scenelet.utils.text import first_few, pluralize

SUM_TOLERANCE = 1e-3  # of a row's sum from 1; probabilities of four or more decimals pass
MAX_OUTPUT_BYTES = 1 << 22  # several times the size of 8,640 rows
MAX_ROWS = 2 * RECORDINGS  # a longer file is a different one, and its faults would fill screens
# float() would accept 1_0 and nan; possessive, since backtracking over thousands of digits would take minutes
NUMBER = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")


def check_output(file: str, data: bytes, partial: bool = False) -> list[Fault]:
    """Find the faults of a system output; `partial` allows fewer rows than recordings.

    >>> print(*check_output("a.output.csv", b""))  # doctest: +ELLIPSIS
    a.output.csv, line 1: the file is empty; its header must be filename, ...
    """
    if len(data) > MAX_OUTPUT_BYTES:
        return [Fault(file, "", f"is larger than {MAX_OUTPUT_BYTES >> 20} MiB; it must have {RECORDINGS:,} short rows")]
    text = decode_text(file, data)
    if isinstance(text, Fault):
        return [text]
    faults: list[Fault] = []
    if text.startswith("\ufeff"):
        faults.append(Fault(file, "line 1", "begins with a byte-order mark; it must be saved without one"))
        text = text[1:]
    lines, error = _split(text)
    if len(lines) > MAX_ROWS:
        return [*faults, Fault(file, "", f"has more than {MAX_ROWS:,} rows; it must have {RECORDINGS:,}")]
    header = lines[0][1] if lines else []
    has_rows_only = bool(header) and FILENAME.fullmatch(header[0]) is not None
    if message := _header_fault(header):
        faults.append(Fault(file, "line 1", message))
        if not has_rows_only:
            return faults  # the rows say nothing without their columns
    rows = lines if has_rows_only else lines[1:]
    seen: dict[str, int] = {}
    for line, fields in rows:
        faults += [Fault(file, f"line {line}", message) for message in _row_faults(line, fields, seen)]
    if error is not None:
        line, reason = error
        must = f"it must be a row of {len(COLUMNS)} fields"
        faults.append(Fault(file, f"line {line}", f"cannot be read ({reason}); {must}"))
    return [*faults, *(Fault(file, "", message) for message in _count_faults(len(rows), seen, partial))]


def _split(text: str) -> tuple[list[tuple[int, list[str]]], tuple[int, str] | None]:
    """Split the text into rows of (line, fields); returns also line and reason of an error that ends the reading."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    lines: list[tuple[int, list[str]]] = []
    try:
        for fields in itertools.islice(reader, MAX_ROWS + 1):
            lines.append((reader.line_num, fields or [""]))
    except csv.Error as error:
        return lines, (reader.line_num, str(error))
    return lines, None


def _header_fault(header: list[str]) -> str:
    """Return the fault of the first line, or "" if it is the header."""
    must = f"must be {', '.join(COLUMNS)}, separated by tabs"
    if tuple(header) == COLUMNS:
        return ""
    if not header:
        return f"the file is empty; its header {must}"
    if len(header) == 1:
        return f"has no tab; the delimiter must be a tab, and the header {must}"
    if FILENAME.fullmatch(header[0]):
        return f"the header is missing; it {must}"
    return f"the header is {format_value(', '.join(header))}; it {must}"


def _row_faults(line: int, fields: list[str], seen: dict[str, int]) -> list[str]:
    """Find the faults of one row, and store the line of its file in `seen`."""
    if fields == [""]:
        return ["is empty; it must be deleted"]
    if len(fields) != len(COLUMNS):
        return [f"has {pluralize(len(fields), 'field')}; it must have {len(COLUMNS)}, separated by tabs"]
    found = []
    name, label, *numbers = fields
    if not (FILENAME.fullmatch(name) and len(name) <= 8 and int(name[:-4]) < RECORDINGS):
        found.append(f"filename {format_value(name)} is unknown; it must be one of 0.wav to {RECORDINGS - 1}.wav")
    elif name in seen:
        found.append(f"filename {name} is a duplicate of line {seen[name]}; it must occur once")
    else:
        seen[name] = line
    if label not in LABELS:
        found.append(f"scene_label {format_value(label)} is unknown; it must be one of {', '.join(LABELS)}")
    probabilities = {}
    for column, number in zip(LABELS, numbers, strict=True):
        if not NUMBER.fullmatch(number):
            found.append(f"{column} {format_value(number)} is not a number; it must be a number from 0 to 1")
        elif not 0 <= float(number) <= 1:
            found.append(f"{column} {format_value(number)} is out of range; it must be from 0 to 1")
        else:
            probabilities[column] = float(number)
    if len(probabilities) == len(LABELS):
        total = sum(probabilities.values())
        if abs(total - 1) > SUM_TOLERANCE:
            found.append(f"the probabilities sum to {total:.4f}; they must sum to 1 within {SUM_TOLERANCE:g}")
        best = max(probabilities, key=probabilities.__getitem__)
        if label in probabilities and probabilities[label] < probabilities[best]:
            found.append(f"scene_label {label} is not the most probable class; it must be {best}")
    return found


def _count_faults(rows: int, seen: dict[str, int], partial: bool) -> list[str]:
    if partial:
        return [] if rows else [f"has no rows; it must have from 1 to {RECORDINGS:,}"]
    found = []
    if rows != RECORDINGS:
        found.append(f"has {pluralize(rows, 'row')}; it must have {RECORDINGS:,}")
    missing = [name for name in (f"{number}.wav" for number in range(RECORDINGS)) if name not in seen]
    if missing:
        found.append(f"has no row for {first_few(missing)}; it must have one for each recording")
    return found
