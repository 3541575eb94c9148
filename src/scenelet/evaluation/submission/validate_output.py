"""Find every fault of a system output, `<label>.output.csv`."""

import csv
import io
import math
import re
from collections.abc import Iterator

from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.faults import Fault, decode_text, format_value
from scenelet.evaluation.submission.form import FILENAME
from scenelet.utils.text import first_few, pluralize

SUM_TOLERANCE = 1e-3  # of a row's sum from 1; probabilities of four or more decimals pass
MAX_ROW_BYTES = 512  # on average, twice that of ten numbers in full precision
MAX_FAULTS = 1000  # more of them would fill screens, and probably have one cause
MAX_NAME_LENGTH = 100
# float() would accept 1_0 and nan; possessive, since backtracking over thousands of digits would take minutes
NUMBER = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")


def max_output_bytes(challenge: Challenge) -> int:
    """Return the number of bytes above which no system output is read."""
    return MAX_ROW_BYTES * (challenge.recordings + 1)


def check_output(file: str, data: bytes, challenge: Challenge, partial: bool = False) -> list[Fault]:
    """Find the faults of a system output. `partial` allows fewer rows than recordings.

    Scores need not be probabilities, and the columns may have any order, as in the organizers' validators. Both give
    a warning.

    >>> from scenelet.evaluation.submission.challenge import CHALLENGES
    >>> print(*check_output("a.output.csv", b"", CHALLENGES[2020]))  # doctest: +ELLIPSIS
    a.output.csv, line 1: the file is empty; its header must be filename, ...
    """
    if len(data) > max_output_bytes(challenge):
        size = f"{max_output_bytes(challenge) / 2**20:.1f} MiB"
        return [Fault(file, "", f"is larger than {size}; it must have {challenge.recordings:,} short rows")]
    text = decode_text(file, data)
    if isinstance(text, Fault):
        return [text]
    found = list[Fault]()
    if text.startswith("\ufeff"):
        found.append(Fault(file, "line 1", "begins with a byte-order mark; it must be saved without one"))
        text = text[1:]
    lines = _lines(text)
    first = next(lines, (1, []))
    if isinstance(first[1], str):
        return [*found, Fault(file, "line 1", f"cannot be read ({first[1]}); it must be the header")]
    header = first[1]
    if header and FILENAME.fullmatch(_base_name(header[0])):
        must = f"it must be {', '.join(challenge.columns)}, separated by tabs"
        found.append(Fault(file, "line 1", f"the header is missing; {must}"))
        rows = _Rows(file, challenge, list(range(len(challenge.columns))))
        rows.check(*first)
    else:
        if fault := _header_fault(file, header, challenge):
            found.append(fault)
            if not fault.warning:
                return found  # the rows say nothing without their columns
        rows = _Rows(file, challenge, [header.index(column) for column in challenge.columns])
    for line, fields in lines:
        rows.check(line, fields)
        if rows.count > 2 * challenge.recordings:  # a different file, whose faults would fill screens
            fault = Fault(file, "", f"has more than {rows.count - 1:,} rows; it must have {challenge.recordings:,}")
            return [*found, fault]
    return [*found, *rows.faults, *rows.count_faults(partial), *rows.warnings()]


def _lines(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each row as (line, fields), and a row that cannot be read, which is the last one, as (line, reason)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    try:
        for fields in reader:
            yield reader.line_num, fields or [""]
    except csv.Error as error:
        yield reader.line_num, str(error)


def _base_name(filename: str) -> str:
    return filename.rpartition("/")[2]


def _header_fault(file: str, header: list[str], challenge: Challenge) -> Fault | None:
    """Return the fault of a first line that does not begin with a file's name, or None if it is the header."""
    must = f"must be {', '.join(challenge.columns)}, separated by tabs"
    if tuple(header) == challenge.columns:
        return None
    if not header:
        return Fault(file, "line 1", f"the file is empty; its header {must}")
    if len(header) == 1:
        return Fault(file, "line 1", f"has no tab; the delimiter must be a tab, and the header {must}")
    if sorted(header) == sorted(challenge.columns):
        should = must.replace("must", "should", 1)
        return Fault(file, "line 1", f"the header is {', '.join(header)}; it {should}", warning=True)
    return Fault(file, "line 1", f"the header is {format_value(', '.join(header))}; it {must}")


class _Rows:
    """Check of the rows of one file."""

    def __init__(self, file: str, challenge: Challenge, order: list[int]) -> None:
        """Begin a check. `order` has the position of each of the challenge's columns in a row."""
        self.file, self.challenge, self.order = file, challenge, order
        self.count = 0
        self.faults: list[Fault] = []
        self._seen: dict[str, int] = {}  # name -> line
        self._warned: dict[str, tuple[int, str, int]] = {}  # kind -> (first line, message, number of rows)

    def check(self, line: int, fields: list[str] | str) -> None:
        """Collect the faults of one row: its fields, or the reason why it cannot be read."""
        columns = self.challenge.columns
        if isinstance(fields, str):
            self._fault(line, f"cannot be read ({fields}); it must be a row of {len(columns)} fields")
            return
        self.count += 1
        if fields == [""]:
            self._fault(line, "is empty; it must be deleted")
        elif len(fields) != len(columns):
            count = pluralize(len(fields), "field")
            self._fault(line, f"has {count}; it must have {len(columns)}, separated by tabs")
        else:
            filename, label, *scores = (fields[position] for position in self.order)
            self._check_name(line, filename)
            if label not in self.challenge.labels:
                must = f"it must be one of {', '.join(self.challenge.labels)}"
                self._fault(line, f"scene_label {format_value(label)} is unknown; {must}")
            self._check_scores(line, label, scores)

    def count_faults(self, partial: bool) -> list[Fault]:
        """Return the faults of the number of rows."""
        total = self.challenge.recordings
        if partial:
            return [] if self.count else [Fault(self.file, "", f"has no rows; it must have from 1 to {total:,}")]
        found = []
        if self.count != total:
            found.append(f"has {pluralize(self.count, 'row')}; it must have {total:,}")
        missing = [name for name in (f"{number}.wav" for number in range(total)) if name not in self._seen]
        if missing:
            found.append(f"has no row for {first_few(missing)}; it must have one for each recording")
        return [Fault(self.file, "", message) for message in found]

    def warnings(self) -> list[Fault]:
        """Return a warning of each kind, with its first line and the number of other rows."""
        found = []
        for line, message, count in self._warned.values():
            others = f" (and {pluralize(count - 1, 'other row')})" if count > 1 else ""
            found.append(Fault(self.file, f"line {line}", message + others, warning=True))
        return found

    def _check_name(self, line: int, filename: str) -> None:
        name, total = _base_name(filename), self.challenge.recordings
        short = len(name) <= MAX_NAME_LENGTH
        if not (short and FILENAME.fullmatch(name) and int(name[:-4]) < total):
            must = f"it must be one of 0.wav to {total - 1}.wav"
            self._fault(line, f"filename {format_value(filename)} is unknown; {must}")
        elif name in self._seen:
            self._fault(line, f"filename {name} is a duplicate of line {self._seen[name]}; it must occur once")
        else:
            self._seen[name] = line

    def _check_scores(self, line: int, label: str, fields: list[str]) -> None:
        labels = self.challenge.labels
        scores = []
        for column, field in zip(labels, fields, strict=True):
            if NUMBER.fullmatch(field.strip()) and math.isfinite(score := float(field)):
                scores.append(score)
            else:
                self._fault(line, f"{column} {format_value(field)} is not a number; it must be a finite number")
        if len(scores) < len(labels):
            return
        total, best = sum(scores), labels[scores.index(max(scores))]
        if abs(total - 1) > SUM_TOLERANCE or min(scores) < 0:
            message = f"the scores, {min(scores):.4g} to {max(scores):.4g}, sum to {total:.4g}"
            should = f"they should be probabilities, which sum to 1 within {SUM_TOLERANCE:g}"
            self._warn("sum", line, f"{message}; {should}")
        if label in labels and scores[labels.index(label)] < max(scores):
            self._warn("best", line, f"scene_label {label} does not have the highest score; it should be {best}")

    def _fault(self, line: int, message: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(self.file, f"line {line}", message))
        elif len(self.faults) == MAX_FAULTS:
            message = f"has one fault too many to list; the {MAX_FAULTS:,} before it must be corrected first"
            self.faults.append(Fault(self.file, f"line {line}", message))

    def _warn(self, kind: str, line: int, message: str) -> None:
        first_line, first, count = self._warned.get(kind, (line, message, 0))
        self._warned[kind] = (first_line, first, count + 1)
