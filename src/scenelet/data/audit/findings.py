"""Findings about single recordings, and about traits of recordings that reveal the class."""

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenelet.audio.silence import MIN_PEAK, SILENT_DBFS
from scenelet.data.audit.bandwidth import apparent_rate
from scenelet.data.audit.statistics import RecordingStats
from scenelet.data.clips import Clip
from scenelet.utils.text import first_few, pluralize

MAX_CLIPPED_FRACTION = 0.001
"""Maximum fraction of samples at full scale, over all channels."""
MIN_LENGTH_FRACTION = 0.5
"""Minimum length as a fraction of a window. The rest of the window is padding."""
MAX_OFFSET = 0.01
"""Maximum absolute mean of the samples; full scale is 1."""
MIN_OFFSET_SECONDS = 0.5
"""Minimum duration for a finding about the mean. The mean of shorter sounds is not near 0."""
MIN_MONO_POWER = 0.1
"""Minimum power of the mean of two channels, as a fraction of their power. Less means a correlation below -0.8."""
MIN_CLASS_FRACTION, MAX_OTHER_FRACTION, MIN_TRAIT_CLIPS = 0.8, 0.2, 5
"""Limits for a trait that reveals a class: minimum fraction of the class's clips, maximum fraction of the other clips,
and minimum number of the class's clips."""


@dataclass(frozen=True)
class Finding:
    """Fault of some clips.

    Attributes:
        severity: "error" if training would stop or its results would be wrong; "warning" if the user should check it.
        kind: of a recording, "missing", "unreadable", "empty", "truncated", "odd header", "silent", "clipped",
            "constant" or "offset"; of several, "too short", "dual mono", "antiphase", "band-limited", "duplicate",
            "near duplicate" or "near duplicate across subsets"; of labels and groups, "label", "more labels",
            "labels not compared", "reveals the class", "shared group", "no split", "few clips" or "imbalance"; of a
            TAU set, "missing device", "missing segments", "missing recordings" or "missing slices".
        clips: names of the clips.
        message: one sentence.
        score: for the kind "label", the confidence that the label is wrong, from 0.5 (undecided) to 1.

    >>> finding = warning("silent", ("a.wav",), "a.wav: silent, it holds only zeros; remove it")
    >>> finding.severity, finding.kind
    ('warning', 'silent')
    """

    severity: Literal["error", "warning"]
    kind: str
    clips: tuple[str, ...]
    message: str
    score: float | None = None


warning = functools.partial(Finding, "warning")

BACKGROUND_WORDS = {
    *("background", "other", "others", "else", "rest", "misc", "unknown", "noise", "silence", "silent", "quiet"),
    *("ambient", "ambience", "none", "nothing", "negative", "empty", "nocall"),
}
"""Words in the label of a class for other sounds."""


def background_note(labels: Sequence[str]) -> str:
    """Return a note if no class seems to be for other sounds, else an empty string.

    >>> background_note(["rain", "Background noise"])
    ''
    """
    words = {word for label in labels for word in re.findall(r"[a-z]+", label.lower())}
    if words & BACKGROUND_WORDS:
        return ""
    return (
        "no class is named like background or other: the model will answer with one of its classes whatever it hears;"
        " if it will meet other sounds, record them as a class named background, or in a folder for"
        " --set data.background=FOLDER"
    )


def recording_findings(clip: Clip, stats: RecordingStats) -> list[Finding]:
    """Return the findings about one recording."""
    return [warning(kind, (clip.name,), message) for kind, message in _recording_faults(clip.name, stats)]


def _recording_faults(name: str, stats: RecordingStats) -> Iterator[tuple[str, str]]:
    """Yield kind and message of each fault of one recording."""
    for note in stats.notes:
        yield "odd header", note
    if is_silent(stats):
        level = f"peaks at {20 * np.log10(stats.peak):.0f} dBFS" if stats.peak > 0 else "holds only zeros"
        limit = f"limit {SILENT_DBFS:g} dBFS"
        yield "silent", f"{name}: silent, it {level} ({limit}); remove it, or record it again"
    elif stats.constant:
        names = ("left", "right") if stats.channels == 2 else [f"{number}." for number in range(1, stats.channels + 1)]
        channel = "it" if len(stats.constant) == stats.channels else f"its {names[stats.constant[0]]} channel"
        yield "constant", f"{name}: {channel} holds only one value; check for a loose plug, and export it as mono"
    if stats.clipped > MAX_CLIPPED_FRACTION:
        yield (
            "clipped",
            f"{name}: clipped, {100 * stats.clipped:.2f} % of its samples are at full scale"
            f" (limit {100 * MAX_CLIPPED_FRACTION:g} %); record it again with less gain",
        )
    if abs(stats.offset) > MAX_OFFSET and stats.seconds >= MIN_OFFSET_SECONDS and not stats.constant:
        yield (
            "offset",
            f"{name}: its mean is {stats.offset:+.3f} of full scale (limit {MAX_OFFSET:g}); remove the DC offset"
            " with a high-pass filter at 20 Hz",
        )


def trait_findings(all_stats: Mapping[Clip, RecordingStats], window_seconds: float) -> list[Finding]:
    """Return the findings about traits of several recordings: one per kind, and traits that reveal a class."""
    short = {clip: s for clip, s in all_stats.items() if s.seconds < MIN_LENGTH_FRACTION * window_seconds}
    longest = max((stats.seconds for stats in short.values()), default=0)
    rates = {clip: apparent_rate(stats.cutoff_hz) for clip, stats in all_stats.items() if stats.cutoff_hz is not None}
    counts = sorted(Counter(rates.values()).items())
    limits = ", ".join(f"{rate / 2000:.1f} kHz ({count})" for rate, count in counts)
    few = len(rates) <= MAX_OTHER_FRACTION * len(all_stats)
    advice = "leave these clips out" if few else f"resample all clips to {min(rates.values())} Hz"
    found: dict[str, tuple[Iterable[Clip], str]] = {
        "too short": (
            short,
            f"at most {longest:.2f} s, less than half of the {window_seconds:g} s window;"
            " record longer, or train with shorter windows",
        ),
        "dual mono": (
            [clip for clip, stats in all_stats.items() if stats.is_dual_mono and not is_silent(stats)],
            "both channels are equal; train on mono, and if they should be stereo, check how they were exported",
        ),
        "antiphase": (
            [clip for clip, stats in all_stats.items() if stats.mono_power < MIN_MONO_POWER],
            "the channels cancel out in mono, so the model would hear almost nothing;"
            " invert one channel, or export one channel as mono",
        ),
        "band-limited": (
            rates,
            f"no sound above about {limits}, as if recorded at a lower rate or limited by a codec;"
            f" find the originals, or {advice}",
        ),
    }
    findings = []
    for kind, (clips, message) in found.items():
        if names := tuple(clip.name for clip in clips):
            start = f"{pluralize(len(names), 'clip')} ({first_few(names)})"
            findings.append(warning(kind, names, f"{start}: {message}"))
    return findings + list(_revealing_traits(all_stats))


def is_silent(stats: RecordingStats) -> bool:
    """Return True if the peak of a recording is below `SILENT_DBFS`."""
    return stats.peak < MIN_PEAK


def _revealing_traits(all_stats: Mapping[Clip, RecordingStats]) -> Iterator[Finding]:
    """Yield traits of files from which a network could learn the class, in place of the sound."""
    sizes = Counter(clip.label for clip in all_stats)
    traits: dict[tuple[int, str], list[Clip]] = defaultdict(list)
    for clip, stats in all_stats.items():
        for kind, trait in enumerate(_traits(clip, stats)):
            traits[kind, trait].append(clip)
    reported: set[int] = set()
    for (kind, trait), clips in sorted(traits.items()):
        for label, count in sorted(Counter(clip.label for clip in clips).items()):
            others, rest = len(clips) - count, len(all_stats) - sizes[label]
            is_common = count >= MIN_TRAIT_CLIPS and count >= MIN_CLASS_FRACTION * sizes[label]
            is_mirrored = kind in reported and len(sizes) == 2  # of two classes, the other one has the rest
            if trait and rest and is_common and others <= MAX_OTHER_FRACTION * rest and not is_mirrored:
                reported.add(kind)
                yield warning(
                    "reveals the class",
                    tuple(clip.name for clip in clips if clip.label == label),
                    f"{count} of {sizes[label]} clips of class {label!r} {trait}, and {others} of the {rest}"
                    " others; a network would learn that instead of the sound: record or convert all classes alike",
                )


def _traits(clip: Clip, stats: RecordingStats) -> tuple[str, str, str, str]:
    """Return rate, format, channels and band of a recording; no band if it is not limited."""
    channels = {1: "are mono", 2: "have equal channels" if stats.is_dual_mono else "are stereo"}
    return (
        f"have a sample rate of {stats.sample_rate} Hz",
        f"are {clip.path.suffix.lower().removeprefix('.')} files",
        channels.get(stats.channels, f"have {stats.channels} channels"),
        f"hold no sound above about {apparent_rate(stats.cutoff_hz) / 2000:.1f} kHz" if stats.cutoff_hz else "",
    )
