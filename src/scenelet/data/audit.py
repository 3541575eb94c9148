"""Look through recordings for what would spoil a training run, before it is started."""

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from scenelet.console import track
from scenelet.data.rows import first_few
from scenelet.data.splits import Split
from scenelet.data.table import SPLITS, Clip, ClipTable
from scenelet.errors import AudioError, CutShortError, EmptyAudioError
from scenelet.parallel import map_processes
from scenelet.recordings import blocks

SILENT_DBFS = -80.0  # a peak of 3 steps of 16 bits: dither, not sound
FULL_SCALE = 0.999
CLIPPED_SHARE = 0.001  # of the samples of all channels at full scale
SHORT_SHARE = 0.5  # of a window; the rest would be zeros
FEW_CLIPS = 10  # of a class
IMBALANCE = 10.0  # largest class over smallest


@dataclass(frozen=True)
class Finding:
    """Something wrong with some clips.

    Attributes:
        severity: "error": training would stop, or its results would be false; "warning": worth a look.
        kind: "unreadable", "empty", "cut short", "silent", "clipped", "too short", "duplicate",
            "shared group", "no split", "few clips" or "imbalance".
        clips: their names.
        message: one sentence.
    """

    severity: Literal["error", "warning"]
    kind: str
    clips: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Measured:
    """What one pass over a recording's samples tells.

    Attributes:
        seconds: duration.
        peak: largest absolute sample, full scale is 1.
        clipped: share of samples at full scale.
        digest: of the decoded samples and their rate, whatever the container.
    """

    seconds: float
    peak: float
    clipped: float
    digest: str


def measure(path: Path) -> Measured:
    """Measure one recording in constant memory. Raises AudioError as `scenelet.recordings.blocks`."""
    digest = hashlib.blake2b(digest_size=16)
    values, full, seconds, peak = 0, 0, 0.0, 0.0
    for samples, rate in blocks(path):
        if not values:
            digest.update(f"{len(samples)} channels at {rate} Hz".encode())
        loudness = np.abs(samples)
        values += samples.size
        full += int(np.count_nonzero(loudness >= FULL_SCALE))
        seconds += samples.shape[1] / rate
        peak = max(peak, float(loudness.max()))
        digest.update(samples.T.tobytes())  # interleaved, so that block borders do not matter
    return Measured(seconds, peak, full / values, digest.hexdigest())


def audit(
    table: ClipTable, window_seconds: float, split: Split | None = None, workers: int | None = None
) -> list[Finding]:
    """Read every clip and report what is wrong; errors first, then in the order of clip names.

    Args:
        table: the clips.
        window_seconds: length of the model's window, s.
        split: the split to check for shared groups; None: the data's own folds and split.
        workers: processes; None: one a processor.
    """
    findings = [*_class_findings(table), *_group_findings(_sides(table, split))]
    measured: dict[Clip, Measured] = {}
    results = map_processes(_measure_or_refuse, [clip.path for clip in table.clips], workers)
    for clip, result in zip(table.clips, track(results, "Checking", len(table.clips)), strict=True):
        if isinstance(result, Measured):
            measured[clip] = result
            findings += _sound_findings(clip, result, window_seconds)
        else:
            findings.append(Finding("error", result[0], (clip.name,), result[1]))
    findings += _duplicate_findings(measured, split)
    return sorted(findings, key=lambda finding: finding.severity)


Refused = tuple[str, str]
"""(kind, message) of a recording that cannot be read."""


def _measure_or_refuse(path: Path) -> Measured | Refused:
    try:
        return measure(path)
    except EmptyAudioError as error:
        return "empty", str(error)
    except CutShortError as error:
        return "cut short", str(error)
    except AudioError as error:
        return "unreadable", str(error)


def _sound_findings(clip: Clip, sound: Measured, window_seconds: float) -> Iterator[Finding]:
    warn = functools.partial(Finding, "warning")
    if sound.peak < 10 ** (SILENT_DBFS / 20):
        level = f"peaks at {20 * np.log10(sound.peak):.0f} dBFS" if sound.peak > 0 else "holds only zeros"
        yield warn("silent", (clip.name,), f"{clip.name}: silent, it {level} (limit {SILENT_DBFS:g} dBFS)")
    if sound.clipped > CLIPPED_SHARE:
        yield warn(
            "clipped",
            (clip.name,),
            f"{clip.name}: clipped, {100 * sound.clipped:.2f} % of its samples are at full scale"
            f" (limit {100 * CLIPPED_SHARE:g} %)",
        )
    if sound.seconds < SHORT_SHARE * window_seconds:
        yield warn(
            "too short",
            (clip.name,),
            f"{clip.name}: {sound.seconds:.2f} s, less than half of the {window_seconds:g} s window",
        )


def _duplicate_findings(measured: Mapping[Clip, Measured], split: Split | None) -> Iterator[Finding]:
    """Clips with the same samples; an error when they contradict each other or leak into another side."""
    same: dict[str, list[Clip]] = defaultdict(list)
    for clip, sound in measured.items():
        if sound.peak > 0:  # files of zeros are reported as silent
            same[sound.digest].append(clip)
    for clips in same.values():
        if len(clips) < 2:
            continue
        names = tuple(clip.name for clip in clips)
        text = f"{first_few(names)}: the same samples"
        labels = sorted({clip.label for clip in clips})
        if len(labels) > 1:
            yield Finding("error", "duplicate", names, f"{text} under the labels {', '.join(labels)}; keep one")
        elif sides := _sides_of(clips, split):
            yield Finding("error", "duplicate", names, f"{text} on the sides {' and '.join(sides)}; keep one")
        else:
            yield Finding("warning", "duplicate", names, f"{text} {len(names)} times; keep one")


def _sides_of(clips: Iterable[Clip], split: Split | None) -> list[str]:
    """The sides these clips lie on, if they are several."""
    if split is not None:
        sides = [side for side in SPLITS if not set(clips).isdisjoint(getattr(split, side))]
    else:
        folds = sorted({f"fold {clip.fold}" for clip in clips if clip.fold is not None})
        sides = folds if len(folds) > 1 else sorted({clip.split for clip in clips if clip.split is not None})
    return sides if len(sides) > 1 else []


def _sides(table: ClipTable, split: Split | None) -> dict[str, Sequence[Clip]]:
    """Side -> its clips: of the split, else of the data's folds, else of its own split."""
    if split is not None:
        return {side: getattr(split, side) for side in SPLITS}
    if len(table.folds) > 1:
        return {f"fold {fold}": [clip for clip in table.clips if clip.fold == fold] for fold in table.folds}
    return {side: [clip for clip in table.clips if clip.split == side] for side in SPLITS}


def _group_findings(sides: Mapping[str, Sequence[Clip]]) -> Iterator[Finding]:
    for (one, ones), (other, others) in combinations(sides.items(), 2):
        shared = sorted({clip.group for clip in ones} & {clip.group for clip in others})
        if shared:
            names = tuple(sorted(clip.name for clip in (*ones, *others) if clip.group in set(shared)))
            yield Finding(
                "error",
                "shared group",
                names,
                f"{len(shared)} groups ({first_few(shared)}) are in {one} and in {other};"
                " a model is then tested on what it has heard",
            )


def _class_findings(table: ClipTable) -> Iterator[Finding]:
    counts = table.counts()
    for label, count in counts.items():
        if count < FEW_CLIPS:
            yield Finding(
                "warning",
                "few clips",
                (),
                f"class {label!r} has {count} clips; with fewer than {FEW_CLIPS} its accuracy means little",
            )
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[largest] >= IMBALANCE * counts[smallest]:
        yield Finding(
            "warning",
            "imbalance",
            (),
            f"class {largest!r} has {counts[largest]} clips and {smallest!r} {counts[smallest]};"
            " a class-balanced loss helps",
        )
