"""Look through recordings for what would spoil a training run, before it is started."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from scenelet.data.audit.findings import Finding, is_silent, sound_findings, trait_findings, warning
from scenelet.data.audit.fingerprint import find_matches
from scenelet.data.audit.label_errors import LEAST_CLIPS, LEAST_GROUPS, MIN_SCORE, find_label_issues, rare_classes
from scenelet.data.audit.statistics import RecordingStats
from scenelet.data.audit.statistics_cache import all_recording_stats
from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.splits import Split
from scenelet.utils.console import track
from scenelet.utils.text import first_few, pluralize

MIN_CLASS_CLIPS = 10  # of a class
IMBALANCE = 10.0  # largest class over smallest
MAX_LABEL_ISSUES = 40  # labels to listen to at most


def audit(
    table: ClipTable,
    window_seconds: float,
    split: Split | None = None,
    workers: int | None = None,
    *,
    max_label_issues: int = MAX_LABEL_ISSUES,
    held_out: bool = False,
    again: bool = True,
    cache_dir: Path | None = None,
) -> list[Finding]:
    """Measure every clip and report what is wrong; errors first, then in the order of clip names.

    Args:
        table: the clips.
        window_seconds: length of the model's window, s.
        split: the split to check for shared groups; None: the data's own folds and split.
        workers: processes; None: one a processor.
        suspects: labels that are doubted at most.
        held_out: doubt no label of the split's test side, and do not use it to doubt others.
        again: read every recording, also one that was measured before.
        cache_dir: where measures are kept; None: `scenelet.utils.files.cache_folder()`.
    """
    findings = [*_class_findings(table), *_group_findings(_sides(table, split))]
    measured: dict[Clip, RecordingStats] = {}
    results = all_recording_stats(table.clips, table.root, cache_dir, workers, again)
    for clip, result in zip(table.clips, track(results, "Checking", len(table.clips)), strict=True):
        if isinstance(result, RecordingStats):
            measured[clip] = result
            findings += sound_findings(clip, result, window_seconds)
        else:
            findings.append(Finding("error", result[0], (clip.name,), result[1]))
    findings += trait_findings(measured)
    findings += _duplicate_findings(measured, split)
    findings += _near_duplicate_findings(measured, split)
    seen = None if split is None or not held_out else {*split.train, *split.validation}
    findings += _label_findings(measured, seen, max_label_issues)
    return sorted(findings, key=lambda finding: finding.severity)


def _label_findings(measured: Mapping[Clip, RecordingStats], seen: set[Clip] | None, most: int) -> Iterator[Finding]:
    """Labels that the other clips contradict, surest first."""
    clips = [clip for clip, sound in measured.items() if (seen is None or clip in seen) and not is_silent(sound)]
    found = find_label_issues(clips, [measured[clip].texture for clip in clips])
    if isinstance(found, str):
        yield warning("labels not compared", (), f"whether labels are right cannot be told: {found}; listen to some")
        return
    if rare := rare_classes(clips):
        few = ", ".join(f"{label!r} ({size})" for label, size in rare.items())
        yield warning(
            "labels not compared",
            tuple(clip.name for clip in clips if clip.label in rare),
            f"of too rare a class nobody can tell whether its labels are right: {few}; at least {LEAST_CLIPS} clips, of"
            f" {LEAST_GROUPS} groups, are needed: listen to them, or record more",
        )
    doubted = [suspect for suspect in found if suspect.score >= MIN_SCORE]
    for suspect in doubted[:most]:
        name, label = suspect.clip.name, suspect.clip.label
        yield warning(
            "label",
            (name,),
            f"{name}: labelled {label!r}, sounds like {suspect.sounds_like!r} to the others"
            f" ({100 * suspect.score:.0f} % sure); listen to it, then relabel it, drop it or leave it",
            suspect.score,
        )
    if more := len(doubted[most:]):
        yield warning(
            "more labels",
            tuple(suspect.clip.name for suspect in doubted[most:]),
            f"{pluralize(more, 'more label')} doubted; `scenelet check --max-label-issues {len(doubted)}` lists all",
        )


def _near_duplicate_findings(measured: Mapping[Clip, RecordingStats], split: Split | None) -> Iterator[Finding]:
    """Clips that share sound though their samples differ; those that share any are one finding."""
    clips = [clip for clip, sound in measured.items() if not is_silent(sound)]
    pairs = find_matches([measured[clip].fingerprint for clip in clips])
    together = list(range(len(clips)))  # clip -> the first one that it shares sound with

    def first(index: int) -> int:
        while together[index] != index:
            index = together[index]
        return index

    near = [pair for pair in pairs if measured[clips[pair.one]].digest != measured[clips[pair.other]].digest]
    for pair in near:
        one, other = sorted((first(pair.one), first(pair.other)))
        together[other] = one
    families = defaultdict(list)
    for pair in near:
        families[first(pair.one)].append(pair)
    for family in families.values():
        members = [clips[index] for index in sorted({index for pair in family for index in (pair.one, pair.other)})]
        closest = min(family, key=lambda pair: pair.differing)
        names = tuple(clip.name for clip in members)
        text = (
            f"{first_few(names)}: nearly the same recording ({closest.seconds:.1f} s,"
            f" {100 * closest.differing:.0f} % of the fingerprint's bits differ)"
        )
        labels = sorted({clip.label for clip in members})
        text += f" under the labels {', '.join(labels)}" if len(labels) > 1 else ""
        if sides := _sides_of(members, split):
            mend = "keep one, or give them one group"
            yield warning("near duplicate across sides", names, f"{text} on the sides {' and '.join(sides)}; {mend}")
        else:
            yield warning("near duplicate", names, f"{text}; keep one, or give them one group")


def _duplicate_findings(measured: Mapping[Clip, RecordingStats], split: Split | None) -> Iterator[Finding]:
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
            yield warning("duplicate", names, f"{text} {len(names)} times; keep one")


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
                f"{pluralize(len(shared), 'group')} ({first_few(shared)}) in {one} and in {other};"
                " a model is then tested on what it has heard: put each group on one side",
            )


def _class_findings(table: ClipTable) -> Iterator[Finding]:
    counts = table.counts()
    for label, count in counts.items():
        if count < MIN_CLASS_CLIPS:
            yield warning(
                "few clips",
                (),
                f"class {label!r} has {pluralize(count, 'clip')}; with fewer than {MIN_CLASS_CLIPS} its accuracy means little:"
                " record more",
            )
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[largest] >= IMBALANCE * counts[smallest]:
        yield warning(
            "imbalance",
            (),
            f"class {largest!r} has {counts[largest]} clips and {smallest!r} {counts[smallest]};"
            " record more of the rare one, or set loss.name=class_balanced_focal",
        )
