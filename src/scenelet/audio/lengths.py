"""Lengths that headers state, and how far they may differ from what is there."""

from scenelet.errors import AudioError, TruncatedAudioError

UNKNOWN_BYTES = 0x7FFFF000
"""Writers to a pipe do not know the length of the sound. They state this one or a larger one."""
UNKNOWN_LONG_BYTES = 1 << 62  # the same for lengths of 64 bits
SIZE_IN_DS64 = 0xFFFFFFFF  # the 32-bit size of an RF64's sound; its "ds64" chunk has the real one
MISSING_SECONDS, MISSING_FRACTION, MAX_MISSING_FRACTION = 0.1, 0.01, 0.1
"""Sound that may be missing at the end: the larger of a duration and a fraction, but never more than the last."""
MIN_STATED_FRACTION = 0.01
"""Fraction of the bytes that are there. If a header states less, its recorder died before it wrote the length."""


def sound_end(
    start: int, stated: int, file_size: int, per_second: int = 0, is_followed: bool = False
) -> tuple[int, str]:
    """Find the end of the sound of a file whose header may state a wrong length. All lengths are in bytes.

    Args:
        start: offset of the sound.
        stated: length of the sound as the header states it.
        file_size: length of the file.
        per_second: length of a second of sound, 0 if this is not known.
        is_followed: whether something valid follows the sound if the stated length is right.

    Returns:
        One past the last byte of sound, and what is odd about the length or an empty text.

    Raises:
        TruncatedAudioError: more of the sound is missing than a recorder's error explains.
    """
    available = file_size - start
    if stated >= UNKNOWN_LONG_BYTES or (UNKNOWN_BYTES <= stated <= SIZE_IN_DS64 and stated > available):
        return file_size, ""
    missing, behind = stated - available, available - stated
    if 0 < missing <= allowed_missing(stated, per_second):
        return file_size, f"its header states {missing:,} bytes of sound more than there are"
    if missing > 0:
        times = f" ({available / per_second:.1f} s of {stated / per_second:.1f} s are there)" if per_second else ""
        text = f"{missing} of {stated} bytes of sound are missing{times}; the file is truncated, copy it again"
        raise TruncatedAudioError(text)
    if is_followed or behind <= max(1, MISSING_FRACTION * stated):
        return start + stated, ""
    if stated < MIN_STATED_FRACTION * available or behind >= 1 << 32:  # the number in the header has 32 bits
        return file_size, f"its header states {stated:,} bytes of sound, but {available:,} are there and used"
    return start + stated, f"{behind:,} bytes behind the stated end of its sound are not used"


def note_missing(
    count: int, stated: int, rate: int, fault: str = "", is_damaged: bool = False, last_block: int = 0
) -> str:
    """Describe what is missing of a recording that was read to its end.

    Args:
        count: frames that were read, fewer than stated.
        stated: frames that its header states.
        rate: sample rate.
        fault: what the decoder said.
        is_damaged: whether frames are missing in between, not only at the end.
        last_block: frames that are lost if the last block cannot be decoded.

    Raises:
        AudioError: more than half is missing of a damaged recording.
        TruncatedAudioError: more than `allowed_missing` is missing at the end.
    """
    if stated - count <= allowed_missing(stated, rate, last_block) or (is_damaged and 2 * count >= stated):
        where = fault or ("damaged" if is_damaged else "ends early")
        return f"{where}; {(stated - count) / rate:.2f} s of {stated / rate:.1f} s are missing"
    times = f"{count / rate:.1f} s of {stated / rate:.1f} s"
    if is_damaged:
        raise AudioError(f"damaged, only {times} can be decoded; export it again")
    raise TruncatedAudioError(f"ends after {times}; the file is truncated, copy it again")


def note_lengths(stated: int, there: int, rate: int) -> str:
    """Describe a header that states a wrong number of frames."""
    return f"its header states {stated / rate:.1f} s, but {there / rate:.1f} s are there"


def allowed_missing(stated: int, per_second: float, last_block: int = 0) -> float:
    """Return how much sound, in bytes or frames, may be missing at the end of a recording that is used all the same.

    No window depends on so little. Recorders state a length that is a few bytes too large, or lose the last block.

    >>> allowed_missing(480_000, 48_000), allowed_missing(480, 48_000)
    (4800.0, 48.0)
    """
    allowed = max(MISSING_FRACTION * stated, MISSING_SECONDS * per_second, last_block)
    return min(allowed, MAX_MISSING_FRACTION * stated)
