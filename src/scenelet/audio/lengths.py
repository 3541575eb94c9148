"""Lengths that headers state, and how far they may differ from what is there."""

import os
from typing import BinaryIO

from scenelet.errors import TruncatedAudioError

UNKNOWN_BYTES = 0x7FFFF000
"""Writers to a pipe do not know the length of the sound. They state this one or a larger one."""
UNKNOWN_LONG_BYTES = 1 << 62  # the same for lengths of 64 bits
SIZE_IN_DS64 = 0xFFFFFFFF  # the 32-bit size of an RF64's sound; its "ds64" chunk has the real one
MISSING_SECONDS, MISSING_FRACTION, MAX_MISSING_FRACTION = 0.1, 0.01, 0.1
"""Sound that may be missing at the end: the larger of a duration and a fraction, but never more than the last."""
MIN_STATED_FRACTION = 0.01
"""Fraction of the bytes that are there. If a header states less, its recorder died before it wrote the length."""


def sound_end(
    file: BinaryIO, name: str, start: int, stated: int, bytes_per_second: int, is_followed: bool
) -> tuple[int, str]:
    """Find the end of the sound of a file whose header may state a wrong length.

    Args:
        file: an open file.
        name: what errors call it.
        start: offset of the sound.
        stated: length of the sound in bytes as the header states it.
        bytes_per_second: bytes of a second of sound, 0 if this is not known.
        is_followed: whether something valid follows the sound if the stated length is right.

    Returns:
        One past the last byte of sound, and what is odd about the length or an empty text.

    Raises:
        TruncatedAudioError: more of the sound is missing than a recorder's error explains.
    """
    file_size = file.seek(0, os.SEEK_END)
    available = file_size - start
    if stated >= UNKNOWN_LONG_BYTES or (UNKNOWN_BYTES <= stated <= SIZE_IN_DS64 and stated > available):
        return file_size, ""
    if stated > available:
        if stated - available <= allowed_missing(stated, bytes_per_second):
            return file_size, f"its header states {stated - available:,} bytes of sound more than there are"
        times = (
            f" ({available / bytes_per_second:.1f} s of {stated / bytes_per_second:.1f} s are there)"
            if bytes_per_second
            else ""
        )
        raise TruncatedAudioError(
            f"{name}: {stated - available} of {stated} bytes of sound are missing{times};"
            " the file is truncated, copy it again"
        )
    behind = available - stated
    if is_followed or behind <= 1:
        return start + stated, ""
    if stated < MIN_STATED_FRACTION * available or behind >= 1 << 32:  # the number in the header has 32 bits
        return file_size, f"its header states {stated:,} bytes of sound, but {available:,} are there and used"
    if behind > MISSING_FRACTION * stated:
        return start + stated, f"{behind:,} bytes behind the stated end of its sound are not used"
    return start + stated, ""


def allowed_missing(stated: int, per_second: float, last_block: int = 0) -> float:
    """Return how much sound may be missing at the end of a recording that is used all the same.

    No window depends on so little. Recorders state a length that is a few bytes too large, or lose the last block.

    Args:
        stated: length of the recording, in bytes or frames.
        per_second: such bytes or frames in a second, 0 if this is not known.
        last_block: frames that are lost if the last block cannot be decoded.

    >>> allowed_missing(480_000, 48_000), allowed_missing(480, 48_000)
    (4800.0, 48.0)
    """
    allowed = max(MISSING_FRACTION * stated, MISSING_SECONDS * per_second, last_block)
    return min(allowed, MAX_MISSING_FRACTION * stated)
