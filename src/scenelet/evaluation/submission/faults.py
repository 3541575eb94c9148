"""Faults and warnings of a submission: one line with the file, the location, the fault and the fix."""

from dataclasses import dataclass

MAX_SHOWN_CHARACTERS = 60  # of a value that a message shows
MAX_SHOWN_INTEGER = 10**18


@dataclass(frozen=True)
class Fault:
    """A fault of a file, at a line ("line 7"), a key ("system.complexity.model_size"), or "" for the whole file.

    A warning is about what the organizers' validator accepts but what is probably a mistake.

    >>> print(Fault("a.output.csv", "line 7", "is empty; it must be deleted"))
    a.output.csv, line 7: is empty; it must be deleted
    """

    file: str
    where: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        level = "warning: " if self.warning else ""
        return f"{level}{self.file}{', ' if self.where else ''}{self.where}: {self.message}"


def decode_text(file: str, data: bytes) -> str | Fault:
    """Decode UTF-8 text, or return the fault with the line of the first invalid byte."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Fault(file, f"line {line}", "is not UTF-8; it must be UTF-8 text")


def format_value(value: object) -> str:
    """Format any value as a short text on one line.

    >>> format_value("a\\tb"), format_value(None), format_value([1])
    ("'a\\\\tb'", 'null', 'a list')
    """
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_SHOWN_CHARACTERS else f"{value[:MAX_SHOWN_CHARACTERS]}...")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= MAX_SHOWN_INTEGER:  # Python raises if thousands of digits are printed
        return "a number of more than 18 digits"
    if isinstance(value, int | float):
        return str(value)
    return "a section" if isinstance(value, dict) else f"a {type(value).__name__}"
