"""Numbers as people say them: "14 min", "1 epoch"; and texts of strangers that fit into a line."""

from collections.abc import Iterable

FIRST_FEW = 3


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


def pluralize(number: int, noun: str) -> str:
    """`(2, "epoch")` -> "2 epochs"; the noun takes an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_few(names: Iterable[str]) -> str:
    """`"a, b, c and 5 more"`."""
    listed = list(names)
    more = f" and {len(listed) - FIRST_FEW:,} more" if len(listed) > FIRST_FEW else ""
    return ", ".join(listed[:FIRST_FEW]) + more
