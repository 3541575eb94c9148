"""Findings about gaps in the TAU mobile sets: devices, segments or slices that are not there, as in a partial download.

In the published sets, every segment of the devices b, c and s1 to s6 was recorded with device a too, and each segment
of the 2022 Mobile set has ten slices. The devices b and c have fewer segments than the simulated ones.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from scenelet.data.audit.findings import Finding, warning
from scenelet.data.clips import ClipTable
from scenelet.data.tau_sets import DEVICE_SEGMENTS, MAIN_DEVICE, SLICES, TauName, parse_name, recognize
from scenelet.utils.text import first_few, pluralize

ADVICE = "unpack all audio archives, or ignore this if you use only a part of the set"


def tau_gap_findings(table: ClipTable) -> Iterator[Finding]:
    """Yield at most one finding of each kind about what a table of TAU's mobile recordings lacks.

    The names of the recordings decide, so that a CSV with these names is checked too. Tables with any other name, and
    those of the sets with one device, give no findings.

    >>> from pathlib import Path
    >>> from scenelet.data.clips import Clip
    >>> names = [f"bus-lyon-1001-40001-{number}-a.wav" for number in range(9)]
    >>> clips = tuple(Clip(Path(name), name, "bus", "lyon-1001", device="a") for name in names)
    >>> [finding.message[:50] for finding in tau_gap_findings(ClipTable(Path(), "CSV", clips))][-1]
    '1 segment lacks slices (bus-lyon-1001-40001-a: 9);'
    """
    names: dict[str, TauName] = {}
    for clip in table.clips:
        if (parts := parse_name(clip.recording_name)) is None:
            return
        names[clip.recording_name] = parts
    if not (facts := recognize(table.root.absolute().name, table.labels, names.values())).devices:
        return
    segments: dict[str, set[str]] = defaultdict(set)  # by device
    for parts in names.values():
        segments[parts.device].add(parts.segment_name)
    yield from _device_findings({device: len(found) for device, found in segments.items()})
    yield from _parallel_findings(names, segments)
    if facts.has_slices:
        yield from _slice_findings(names)


def _device_findings(found: Mapping[str, int]) -> Iterator[Finding]:
    if absent := [device for device in DEVICE_SEGMENTS if device not in found]:
        devices = f"device{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
        yield warning("missing device", (), f"no recordings of {devices}, which the published set has; {ADVICE}")
    fewer = [
        f"{device} {found[device]:,} of {published:,}"
        for device, published in DEVICE_SEGMENTS.items()
        if 0 < found.get(device, 0) < published
    ]
    if fewer:
        devices = f"device{'s' if len(fewer) > 1 else ''} {', '.join(fewer)}"
        yield warning("missing segments", (), f"fewer segments than in the published set: {devices}; {ADVICE}")


def _parallel_findings(names: Mapping[str, TauName], segments: Mapping[str, set[str]]) -> Iterator[Finding]:
    main = segments.get(MAIN_DEVICE, set())
    alone = {name: parts.segment_name for name, parts in names.items() if parts.segment_name not in main}
    if main and alone:
        listed = sorted(set(alone.values()))
        lack = f"{pluralize(len(listed), 'segment')} {'lacks' if len(listed) == 1 else 'lack'}"
        shown = f"{lack} the recording of device {MAIN_DEVICE} ({first_few(listed)})"
        yield warning("missing recordings", tuple(alone), f"{shown}, which the published set has; {ADVICE}")


def _slice_findings(names: Mapping[str, TauName]) -> Iterator[Finding]:
    counts = Counter(f"{parts.segment_name}-{parts.device}" for parts in names.values())
    slices: dict[str, set[str]] = defaultdict(set)
    affected = []
    for name, parts in names.items():
        if counts[key := f"{parts.segment_name}-{parts.device}"] < SLICES:
            slices[key].add(str(parts.slice))
            affected.append(name)
    if slices:
        absent = {key: [str(n) for n in range(SLICES) if str(n) not in found] for key, found in slices.items()}
        shown = first_few(f"{key}: {' '.join(numbers)}" for key, numbers in sorted(absent.items()))
        lack = f"{pluralize(len(absent), 'segment')} {'lacks' if len(absent) == 1 else 'lack'} slices"
        yield warning("missing slices", tuple(affected), f"{lack} ({shown}); {ADVICE}")
