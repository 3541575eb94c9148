"""Numbers as people say them: "14 min", "1 epoch"; and texts of strangers that fit into a line."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Persian words and families of emoji are written with them."""


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


def printable(text: str) -> str:
    """A text or a file's name on one line, with escapes for what cannot be seen: `\\n`, `\\x1b`, `\\u202e`.

    They would move a terminal's cursor or turn its letters round. A byte of a name that is no UTF-8 becomes `\\xff`.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs":  # spaces of any width
        return letter
    if "\udc80" <= letter <= "\udcff":  # as `os.fsdecode` writes the bytes 0x80 to 0xff
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
