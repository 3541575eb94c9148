"""Literals and comments of C sources."""

import json
import re
import string
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LINE = 110
PLAIN = frozenset(string.ascii_letters + string.digits + " _-+.,:;()/&%")
"""Characters of a string literal that need no escape."""


def c_comment(value: Any) -> str:
    """Return a text or JSON value for a C comment. It neither ends the comment nor begins another.

    >>> c_comment({"fold": "*/"})
    '{"fold": "* /"}'
    """
    text = value if isinstance(value, str) else json.dumps(value)
    plain = "".join(c if 32 <= ord(c) < 127 else " " for c in text)
    return re.sub(r"\*(?=/)|/(?=\*)", r"\g<0> ", plain)


def c_float(value: float) -> str:
    """Return a C literal of a number in single precision. Nine digits represent every float32 exactly.

    >>> c_float(0.1), c_float(2.0)
    ('0.100000001f', '2.0f')
    """
    text = f"{float(np.float32(value)):.9g}"
    return f"{text if set('.en') & set(text) else text + '.0'}f"


def c_numbers(values: Iterable[float] | NDArray[Any]) -> list[str]:
    """Return the literals of integers, or of numbers in single precision."""
    array = np.asarray(values)
    return [str(each) for each in array.tolist()] if array.dtype.kind in "iu" else [c_float(each) for each in array]


def c_table(declaration: str, values: Iterable[str]) -> list[str]:
    """Return the lines of a constant table.

    >>> c_table("const int primes[]", ["2", "3", "5"])
    ['const int primes[] = {', '    2, 3, 5,', '};']
    """
    lines = [f"{declaration} = {{", "   "]
    for value in values:
        if len(lines[-1]) + len(value) > MAX_LINE:
            lines.append("   ")
        lines[-1] += f" {value},"
    return [*lines, "};"]


def c_text(text: str) -> str:
    r"""Return a string literal of a text in UTF-8. Characters other than `PLAIN` are written in octal.

    >>> print(c_text('a "b"'))
    "a \042b\042"
    """
    plain = "".join(chr(byte) if chr(byte) in PLAIN else f"\\{byte:03o}" for byte in text.encode())
    return f'"{plain}"'
