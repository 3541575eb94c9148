"""Numbers as people say them: "14 min", "1 epoch"; and names of files that fit into a line."""

import re

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def duration(seconds: float) -> str:
    """Seconds -> "4.1 s", "45 s", "14 min" or "2 h 05 min"."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, noun: str) -> str:
    """`(2, "epoch")` -> "2 epochs"; the noun takes an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def one_line(text: str) -> str:
    """The text with line ends as `\\n`, and so what else moves a terminal's cursor or turns its letters round.

    The name of a file may hold any of them.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
