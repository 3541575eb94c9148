"""Numbers and lists as short English text."""

from collections.abc import Iterable, Sequence

FIRST_FEW = 3
"""Number of names that `first_few` lists."""


def duration(seconds: float) -> str:
    """Return a duration as text, with a unit that suits its length.

    >>> duration(4.12), duration(45), duration(840), duration(7500)
    ('4.1 s', '45 s', '14 min', '2 h 05 min')
    """
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock(seconds: float) -> str:
    """Return a time in a recording as minutes and seconds, and hours if there are any.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}:{minutes:02d}:{int(seconds) % 60:02d}" if hours else f"{minutes}:{int(seconds) % 60:02d}"


def pluralize(number: int, noun: str) -> str:
    """Return the number with its noun; the plural takes an "s".

    >>> pluralize(1, "epoch"), pluralize(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_few(names: Iterable[str]) -> str:
    """Return the first three names, and the number of others.

    >>> first_few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - FIRST_FEW:,} more" if len(listed) > FIRST_FEW else ""
    return ", ".join(listed[:FIRST_FEW]) + more


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table.

    >>> markdown_table(["device", "clips"], [["a|b", "3"]])
    ['| device | clips |', '| --- | --- |', '| a\\\\|b | 3 |']
    """
    lines = [columns, ["---"] * len(columns), *rows]
    escaped = [[cell.replace("|", r"\|") for cell in cells] for cells in lines]
    return [f"| {' | '.join(cells)} |" for cells in escaped]
