"""What a validator finds, as lines that name the file, the place in it, and what must be there."""

from dataclasses import dataclass

MAX_SHOWN_CHARACTERS = 60
"""Characters of a value that a fault shows."""
MAX_FILE_BYTES = 10**18


@dataclass(frozen=True)
class Fault:
    """`where` is a line ("line 7"), a key ("system.complexity.model_size"), or "" for the whole file."""

    file: str
    where: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        return f"{place}: {self.message}"


def decoded(file: str, data: bytes) -> str | Fault:
    """UTF-8 text, or the fault that names the line where it is none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Fault(file, f"line {line}", "is not UTF-8; it must be UTF-8 text")


def shown(value: object) -> str:
    """Any value as short text on one line."""
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_SHOWN_CHARACTERS else f"{value[:MAX_SHOWN_CHARACTERS]}...")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= MAX_FILE_BYTES:  # Python refuses to print really long ones
        return "a number of more than 18 digits"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a section"
    return f"a {type(value).__name__}"
