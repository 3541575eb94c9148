"""What is wrong with recordings by themselves, and which trait of the recording tells the class."""

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenelet.data.audit.bandwidth import apparent_rate
from scenelet.data.audit.statistics import RecordingStats
from scenelet.data.clips import Clip
from scenelet.utils.text import first_few, pluralize

SILENT_DBFS = -80.0  # a peak of 3 steps of 16 bits: dither, not sound
MAX_CLIPPED_FRACTION = 0.001  # of the samples of all channels at full scale
MIN_LENGTH_FRACTION = 0.5  # of a window; the rest would be zeros
OFFSET, OFFSET_SECONDS = 0.01, 0.5  # of full scale; the mean of less sound is not near 0 by itself
TELLING, OTHERWISE = 0.8, 0.2  # a trait of so many clips of a class, and of at most so many others, tells the class
MIN_TRAIT_CLIPS = 5


@dataclass(frozen=True)
class Finding:
    """Something wrong with some clips.

    Attributes:
        severity: "error": training would stop, or its results would be false; "warning": worth a look.
        kind: "unreadable", "empty", "cut short", "silent", "clipped", "too short", "constant", "dual mono", "offset",
            "band-limited", "tells the class", "duplicate", "near duplicate", "near duplicate across sides", "label",
            "more labels", "labels not compared", "shared group", "no split", "few clips" or "imbalance".
        clips: their names.
        message: one sentence.
        score: of a "label", how sure it is that it is wrong, 0.5 (undecided) to 1.
    """

    severity: Literal["error", "warning"]
    kind: str
    clips: tuple[str, ...]
    message: str
    score: float | None = None


warning = functools.partial(Finding, "warning")


def sound_findings(clip: Clip, sound: RecordingStats, window_seconds: float) -> Iterator[Finding]:
    """What is wrong with one recording."""
    if is_silent(sound):
        level = f"peaks at {20 * np.log10(sound.peak):.0f} dBFS" if sound.peak > 0 else "holds only zeros"
        yield warning(
            "silent",
            (clip.name,),
            f"{clip.name}: silent, it {level} (limit {SILENT_DBFS:g} dBFS); take it out, or record it again",
        )
    elif sound.constant:
        which = "it" if len(sound.constant) == sound.channels else f"its {('left', 'right')[sound.constant[0]]} channel"
        yield warning(
            "constant",
            (clip.name,),
            f"{clip.name}: {which} holds one value throughout; look for a loose plug, and export it as mono",
        )
    if sound.clipped > MAX_CLIPPED_FRACTION:
        yield warning(
            "clipped",
            (clip.name,),
            f"{clip.name}: clipped, {100 * sound.clipped:.2f} % of its samples are at full scale"
            f" (limit {100 * MAX_CLIPPED_FRACTION:g} %); record it again with less gain",
        )
    if sound.seconds < MIN_LENGTH_FRACTION * window_seconds:
        yield warning(
            "too short",
            (clip.name,),
            f"{clip.name}: {sound.seconds:.2f} s, less than half of the {window_seconds:g} s window;"
            " record longer, or train with shorter windows",
        )
    if abs(sound.offset) > OFFSET and sound.seconds >= OFFSET_SECONDS and not sound.constant:
        yield warning(
            "offset",
            (clip.name,),
            f"{clip.name}: its mean is {sound.offset:+.3f} of full scale (limit {OFFSET:g}); take out the DC offset"
            " with a high-pass of 20 Hz",
        )


def trait_findings(measured: Mapping[Clip, RecordingStats]) -> Iterator[Finding]:
    """What many recordings have in common that should not be, and what tells their class."""
    is_dual_mono = [clip.name for clip, sound in measured.items() if sound.is_dual_mono and not is_silent(sound)]
    if is_dual_mono:
        yield warning(
            "dual mono",
            tuple(is_dual_mono),
            f"{pluralize(len(is_dual_mono), 'clip')} ({first_few(is_dual_mono)}): both channels hold the same; train on mono, and if"
            " they should be stereo, look at how they were exported",
        )
    limited: dict[int, list[str]] = defaultdict(list)
    for clip, sound in measured.items():
        if sound.top_hz is not None:
            limited[apparent_rate(sound.top_hz)].append(clip.name)
    for rate, names in sorted(limited.items()):
        yield warning(
            "band-limited",
            tuple(names),
            f"{pluralize(len(names), 'clip')} ({first_few(names)}): nothing is heard above about {rate / 2000:.1f} kHz,"
            f" as in sound that was made at {rate} Hz or cut by a codec; find the originals, or resample all clips to"
            f" {rate} Hz",
        )
    yield from _telling(measured)


def is_silent(sound: RecordingStats) -> bool:
    """Whether nothing was recorded."""
    return sound.peak < 10 ** (SILENT_DBFS / 20)


def _telling(measured: Mapping[Clip, RecordingStats]) -> Iterator[Finding]:
    """Traits of the recording, not of the sound, by which a network can tell a class."""
    sizes = Counter(clip.label for clip in measured)
    told: set[str] = set()
    for kind in ("rate", "format", "channels", "band"):
        traits: dict[str, list[Clip]] = defaultdict(list)
        for clip, sound in measured.items():
            traits[_trait(kind, clip, sound)].append(clip)
        traits.pop("", None)
        for trait, clips in sorted(traits.items()):
            for label, count in sorted(Counter(clip.label for clip in clips).items()):
                others, rest = len(clips) - count, len(measured) - sizes[label]
                tells = count >= MIN_TRAIT_CLIPS and count >= TELLING * sizes[label] and others <= OTHERWISE * rest
                if rest and tells and not (kind in told and len(sizes) == 2):  # of two classes, the other has the rest
                    told.add(kind)
                    yield warning(
                        "tells the class",
                        tuple(clip.name for clip in clips if clip.label == label),
                        f"{count} of {sizes[label]} clips of class {label!r} {trait}, and {others} of the {rest}"
                        " others; a network learns that in place of the sound: record or convert all classes alike",
                    )


def _trait(kind: str, clip: Clip, sound: RecordingStats) -> str:
    if kind == "rate":
        return f"have a sample rate of {sound.sample_rate} Hz"
    if kind == "format":
        return f"are {clip.path.suffix.lower().removeprefix('.')} files"
    if kind == "channels":
        return "are mono" if sound.channels == 1 else "hold the same twice" if sound.is_dual_mono else "are stereo"
    return "" if sound.top_hz is None else f"hold nothing above about {apparent_rate(sound.top_hz) / 2000:.1f} kHz"
