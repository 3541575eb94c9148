"""Segments: parts of recordings between two times, and the sound of one."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.pcm import Sound
from scenelet.errors import AudioError

SKIP_FRAMES = 1 << 18
"""Frames that are decoded at once in a format that has no way to seek."""


@dataclass(frozen=True)
class Segment:
    """Part of a recording, which can be read wherever a recording can.

    Attributes:
        path: the recording.
        start, end: its times in seconds, 0 <= start < end. An end behind that of the recording is the recording's.

    >>> str(Segment(Path("garden.wav"), 0.5, 12))
    'garden.wav@0.5-12'
    """

    path: Path
    start: float
    end: float

    def __str__(self) -> str:
        return segment_name(str(self.path), self.start, self.end)


def part(path: Path, start: float | None, end: float | None) -> Path | Segment:
    """Return the segment between two times, or the complete recording if they are None.

    >>> part(Path("a.wav"), None, None), str(part(Path("a.wav"), 0.5, 2))
    (...Path('a.wav'), 'a.wav@0.5-2')
    """
    return path if start is None or end is None else Segment(path, start, end)


def segment_name(recording: str, start: float, end: float) -> str:
    """Return the name of a segment: that of its recording and the times, to a microsecond.

    >>> segment_name("garden.wav", 3600.25, 3601)
    'garden.wav@3600.25-3601'
    """
    times = (f"{seconds:.6f}".rstrip("0").rstrip(".") for seconds in (start, end))
    return f"{recording}@{'-'.join(times)}"


def part_of(sound: Sound, segment: Segment) -> Sound:
    """Return the part of an open recording that a segment names, exact to the sample.

    The times are rounded to the nearest sample.

    Raises:
        AudioError: the recording ends before the segment begins.
    """
    first, last = round(segment.start * sound.sample_rate), round(segment.end * sound.sample_rate)
    total = left = min(last, sound.frames) - first
    if left <= 0:
        raise AudioError(f"begins after the recording has ended ({sound.seconds:.2f} s); correct its times")
    if not sound.skip(first):
        while first > 0 and (skipped := len(sound.read(min(first, SKIP_FRAMES))[0])):
            first -= skipped

    def read(frames: int) -> tuple[NDArray[np.float32], list[str]]:
        nonlocal left
        if left == 0:
            return np.zeros((0, sound.channels), np.float32), []
        block, notes = sound.read(min(frames, left))
        if not len(block) and left == total:
            raise AudioError("has no sound at these times; copy the recording again, or delete its labels there")
        left -= len(block)
        return block, notes

    return replace(sound, frames=left, read=read)
