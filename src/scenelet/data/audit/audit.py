"""Audit of recordings before training. It finds faults that would spoil the result."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scenelet.data.audit.findings import Finding, is_silent, recording_findings, trait_findings, warning
from scenelet.data.audit.fingerprint import find_matches
from scenelet.data.audit.label_errors import (
    MAX_TRAINING_CLIPS,
    MIN_CLIPS,
    MIN_GROUPS,
    MIN_SCORE,
    find_label_issues,
    rare_classes,
)
from scenelet.data.audit.statistics import RecordingStats
from scenelet.data.audit.statistics_cache import all_recording_stats
from scenelet.data.audit.tau_gaps import tau_gap_findings
from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.splits import Split
from scenelet.utils.console import print_message, track
from scenelet.utils.text import first_few, pluralize

Subsets = Mapping[str, set[Clip]]
"""Clips of each subset or fold, by its name."""

MIN_CLASS_CLIPS = 10
"""Minimum number of clips per class."""
MAX_IMBALANCE = 10.0
"""Maximum ratio of the largest to the smallest class."""
MAX_LABEL_ISSUES = 40
"""Maximum number of doubted labels that are listed."""


def audit(
    table: ClipTable,
    window_seconds: float,
    split: Split | None = None,
    workers: int | None = None,
    *,
    max_label_issues: int = MAX_LABEL_ISSUES,
    held_out: bool = False,
    refresh: bool = True,
) -> list[Finding]:
    """Compute the statistics of every clip and report faults, errors first.

    Args:
        table: the clips.
        window_seconds: length of the model's window, s.
        split: the split, which is checked for shared groups and duplicates; None: the data's own folds and split.
        workers: the number of processes; None: one per CPU.
        max_label_issues: maximum number of doubted labels that are listed.
        held_out: ignore the split's test clips in the search for label errors.
        refresh: read every recording, even if its statistics are cached.
    """
    subsets = _subsets(table, split)
    findings = [*_class_findings(table), *_group_findings(subsets), *tau_gap_findings(table)]
    all_stats: dict[Clip, RecordingStats] = {}
    results = all_recording_stats(table.clips, table.root, workers, refresh)
    for clip, result in zip(table.clips, track(results, "Checking", len(table.clips)), strict=True):
        if isinstance(result, RecordingStats):
            all_stats[clip] = result
            findings += recording_findings(clip, result)
        else:
            findings.append(Finding("error", result[0], (clip.name,), result[1]))
    findings += trait_findings(all_stats, window_seconds)
    findings += _duplicate_findings(all_stats, subsets)
    findings += _near_duplicate_findings(all_stats, subsets)
    seen = {*split.train, *split.validation} if split is not None and held_out else all_stats.keys()
    audible = {clip: stats for clip, stats in all_stats.items() if clip in seen and not is_silent(stats)}
    findings += _label_findings(audible, max_label_issues)
    return sorted(findings, key=lambda finding: finding.severity)


def _label_findings(all_stats: Mapping[Clip, RecordingStats], max_label_issues: int) -> Iterator[Finding]:
    """Yield labels that the other clips contradict, the highest score first."""
    clips = list(all_stats)
    if len(clips) > MAX_TRAINING_CLIPS:
        print_message(
            f"labels: the classifier that doubts them learns from at most {MAX_TRAINING_CLIPS:,} of the clips, evenly"
            " chosen from each class; every label is still compared"
        )
    found = find_label_issues(clips, [stats.texture for stats in all_stats.values()])
    if isinstance(found, str):
        yield warning("labels not compared", (), f"labels cannot be compared: {found}; listen to some clips")
        return
    if rare := rare_classes(clips):
        counts = ", ".join(f"{label!r} ({size})" for label, size in rare.items())
        yield warning(
            "labels not compared",
            tuple(clip.name for clip in clips if clip.label in rare),
            f"too rare to compare labels: {counts}; at least {MIN_CLIPS} clips of {MIN_GROUPS} groups are needed:"
            " listen to them, or record more",
        )
    doubted = [issue for issue in found if issue.score >= MIN_SCORE]
    for issue in doubted[:max_label_issues]:
        name, label = issue.clip.name, issue.clip.label
        yield warning(
            "label",
            (name,),
            f"{name}: labelled {label!r}, but a classifier of the other clips answers {issue.sounds_like!r}"
            f" ({100 * issue.score:.0f} %); listen, then correct the label, remove the clip or keep it",
            issue.score,
        )
    if more := tuple(issue.clip.name for issue in doubted[max_label_issues:]):
        limit = f"`scenelet check --max-label-issues {len(doubted)}` lists all"
        yield warning("more labels", more, f"{pluralize(len(more), 'more label')} doubted; {limit}")


def _near_duplicate_findings(all_stats: Mapping[Clip, RecordingStats], subsets: Subsets) -> Iterator[Finding]:
    """Yield clips that share sound although their samples differ. Clips that are linked by matches are one finding."""
    clips = [clip for clip, stats in all_stats.items() if not is_silent(stats)]
    pairs = [
        pair
        for pair in find_matches([all_stats[clip].fingerprint for clip in clips])
        if all_stats[clips[pair.first]].digest != all_stats[clips[pair.second]].digest
        and clips[pair.first].path != clips[pair.second].path  # parts of one recording may overlap
        and not _are_parallel(clips[pair.first], clips[pair.second])
    ]
    links = np.array([(pair.first, pair.second) for pair in pairs], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(links)), links.T), shape=(len(clips), len(clips)))
    component = connected_components(graph, directed=False)[1] if pairs else []
    clusters = defaultdict(list)
    for pair in pairs:
        clusters[component[pair.first]].append(pair)
    for cluster in clusters.values():
        members = [clips[index] for index in sorted({i for pair in cluster for i in (pair.first, pair.second)})]
        closest = min(cluster, key=lambda pair: pair.differing)
        names = tuple(clip.name for clip in members)
        text = (
            f"{first_few(names)}: nearly the same recording ({closest.seconds:.1f} s alike,"
            f" {100 * closest.differing:.0f} % of the audio fingerprint differs)"
        )
        labels = sorted({clip.label for clip in members})
        text += f" under the labels {', '.join(labels)}" if len(labels) > 1 else ""
        across = _subsets_of(members, subsets)
        text += f" in {' and '.join(across)}" if across else ""
        kind = "near duplicate across subsets" if across else "near duplicate"
        yield warning(kind, names, f"{text}; keep one, or give them one group")


def _are_parallel(first: Clip, second: Clip) -> bool:
    """Return True for recordings of one class and group by two devices, which may have recorded the same sound."""
    differ = None not in (first.device, second.device) and first.device != second.device
    return differ and (first.group, first.label) == (second.group, second.label)


def _duplicate_findings(all_stats: Mapping[Clip, RecordingStats], subsets: Subsets) -> Iterator[Finding]:
    """Yield clips with equal samples: an error if their labels differ or if they are in several subsets."""
    by_digest: dict[str, list[Clip]] = defaultdict(list)
    for clip, stats in all_stats.items():
        if stats.peak > 0:  # files of zeros are reported as silent
            by_digest[stats.digest].append(clip)
    for clips in by_digest.values():
        if len(clips) < 2:
            continue
        names = tuple(clip.name for clip in clips)
        labels = sorted({clip.label for clip in clips})
        across = _subsets_of(clips, subsets)
        fault = f"under the labels {', '.join(labels)}" if len(labels) > 1 else f"in {' and '.join(across)}"
        is_error = len(labels) > 1 or bool(across)
        text = f"{first_few(names)}: the same samples {fault if is_error else f'{len(names)} times'}; keep one"
        yield Finding("error" if is_error else "warning", "duplicate", names, text)


def _subsets_of(clips: Sequence[Clip], subsets: Subsets) -> list[str]:
    """Return the subsets or folds of these clips, if there are several."""
    names = [name for name, members in subsets.items() if not members.isdisjoint(clips)]
    return names if len(names) > 1 else []


def _subsets(table: ClipTable, split: Split | None) -> Subsets:
    """Return the clips of each subset of the split, else of each of the data's folds, else of its own split."""
    if split is not None:
        return {subset: set(getattr(split, subset)) for subset in SPLITS}
    if len(table.folds) > 1:
        return {f"fold {fold}": {clip for clip in table.clips if clip.fold == fold} for fold in table.folds}
    return {subset: {clip for clip in table.clips if clip.split == subset} for subset in SPLITS}


def _group_findings(subsets: Subsets) -> Iterator[Finding]:
    for (first, first_clips), (second, second_clips) in combinations(subsets.items(), 2):
        shared = {clip.group for clip in first_clips} & {clip.group for clip in second_clips}
        if shared:
            yield Finding(
                "error",
                "shared group",
                tuple(sorted(clip.name for clip in first_clips | second_clips if clip.group in shared)),
                f"{pluralize(len(shared), 'group')} ({first_few(sorted(shared))}) in {first} and in {second};"
                " the model would be tested on what it has seen in training: put each group in one subset",
            )


def _class_findings(table: ClipTable) -> Iterator[Finding]:
    counts = table.counts()
    for label, count in counts.items():
        if count < MIN_CLASS_CLIPS:
            limit = f"with fewer than {MIN_CLASS_CLIPS} its accuracy means little: record more"
            yield warning("few clips", (), f"class {label!r} has {pluralize(count, 'clip')}; {limit}")
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[largest] >= MAX_IMBALANCE * counts[smallest]:
        text = f"class {largest!r} has {counts[largest]} clips and {smallest!r} {counts[smallest]}"
        advice = "record more of the rare one, or set loss.name=class_balanced_focal"
        yield warning("imbalance", (), f"{text}; {advice}")
