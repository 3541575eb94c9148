"""Folder trees: one folder per class, also below the folders of a split or of folds."""

import contextlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from scenelet.audio.io import EXTENSIONS, describe_passed_over, search_folder
from scenelet.data.background import NAMES as BACKGROUND_NAMES
from scenelet.data.clips import SPLIT_NAMES, Clip, ClipTable, subsets_of_names
from scenelet.data.labels import check_alike_labels, normalize
from scenelet.data.tables import (
    OTHER_TABLES,
    find_tables,
    is_split_list,
    is_text,
    list_entries,
    list_tables,
    lists_recordings,
    table_fault,
)
from scenelet.errors import DataError
from scenelet.utils.text import first_few, pluralize

FOLD_FOLDER = re.compile(r"(?:fold|cv|split)[ _-]?(\d+)", re.IGNORECASE)
PART_FOLDER = re.compile(r"(?:part|batch|chunk|shard|dis[ck]|subset|set)[ _-]?\d+", re.IGNORECASE)
KINDS = {
    "fold": "folds",
    "split": "subsets of a split",
    "part": "parts of the data",
    "format": "formats",
}
"""Kinds of folders above those of the classes."""
HELP = (
    "give a folder with one subfolder per class, a CSV/TSV with the columns filename and label, label files of"
    " Audacity or Raven, or a TAU data set"
)
LABEL_WORDS = {
    *("annotation", "annotations", "clips", "examples", "filelist", "label", "labels", "manifest", "meta", "metadata"),
    *SPLIT_NAMES,
}
"""Words in the name of a file that probably holds labels."""

Parts = tuple[str, ...]
"""Parts of a recording's path below the root."""


def load_class_folders(root: Path) -> ClipTable:
    """List the clips of a folder tree.

    The folder of a class lies in `root`, or in a folder of `root` that names a subset of a split or a fold.

    Raises:
        DataError: there are no recordings or no classes, or a table would be passed over.
    """
    paths, passed_over = search_folder(root, on_error=_refuse)
    passed = [describe_passed_over(passed_over)] if passed_over else []
    if not paths:
        contents = f" ({passed[0]})" if passed else describe_contents(root)
        raise DataError(f"{root}: holds no recordings and no table of clips{contents}; {HELP}")
    recordings = [path.relative_to(root).parts for path in paths]
    tops = sorted({parts[0] for parts in recordings if len(parts) > 1})
    folds = {top: match[1] for top in tops if (match := FOLD_FOLDER.fullmatch(top))}
    parts = {top: top for top in tops if PART_FOLDER.fullmatch(top)}
    formats = {top: top for top in tops if f".{top.lower()}" in EXTENSIONS}
    for kind, names in (("fold", folds), ("split", subsets_of_names(tops)), ("part", parts), ("format", formats)):
        if len(set(names.values())) > 1 or 0 < len(names) == len(tops):
            _check_no_label_file([root, *(root / name for name in names)], recordings)
            clips, notes = _clips_of_parts(root, recordings, names, kind)
            layout = f"folder per class in {first_few(sorted(names))} of"
            break
    else:
        _check_no_label_file([root], recordings)
        clips, notes = _clips_of_classes(root, recordings, tops)
        clips = _apply_split_lists(root, clips)
        layout = "folder per class"
    check_alike_labels(root, [clip.label for clip in clips])
    ordered = tuple(sorted(clips, key=lambda clip: clip.name))
    return ClipTable(root, f"{layout} {root.name}", ordered, notes=(*passed, *notes))


def _apply_split_lists(root: Path, clips: list[Clip]) -> list[Clip]:
    """Return the clips with the split of lists like `testing_list.txt`. A clip in no list is for training."""
    lists = {path.stem: path for path in list_entries(root) if path.is_file() and is_split_list(path)}
    splits: dict[str, str] = {}
    for stem, split in subsets_of_names(lists).items():
        names = lists[stem].read_text(encoding="utf-8", errors="replace").split("\n")
        splits |= {normalize(name): split for name in names}
    if not lists:
        return clips
    if splits.keys().isdisjoint(normalize(clip.name) for clip in clips):
        raise DataError(f"{first_few(map(str, lists.values()))}: lists no recording in {root}; move it elsewhere")
    others = None if "train" in splits.values() else "train"
    return [replace(clip, split=splits.get(normalize(clip.name), others)) for clip in clips]


def _check_no_label_file(folders: Sequence[Path], recordings: Sequence[Parts]) -> None:
    """Refuse a file in one of the folders that probably labels the recordings and cannot be read."""
    names = {text for *_, name in recordings for text in (name, Path(name).stem)}
    for path in (entry for folder in folders for entry in list_entries(folder)):
        words = {*re.split(r"[\W\d_]+", path.stem.lower())}
        if path.is_dir() or words.isdisjoint(LABEL_WORDS) or is_split_list(path):
            continue
        if path.suffix.lower() in OTHER_TABLES or (is_text(path) and _names_any(path, names)):
            raise DataError(
                f"{path}: may hold the labels, and a {path.suffix} file is not read; write it as a CSV with the columns"
                " filename and label, or move it elsewhere, to take folder names as classes"
            )


def _names_any(path: Path, names: Set[str]) -> bool:
    """Return True if one of the names is a word of the text, no plain number, or if the text cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return any(not word.isdecimal() and word in names for word in re.split(r"[\s,;|/\\\"']+", text))


def _clips_of_classes(root: Path, recordings: Sequence[Parts], tops: Sequence[str]) -> tuple[list[Clip], list[str]]:
    """Return the clips and the notes of `class/clip.wav` and `class/group/clip.wav`."""
    loose = [parts[0] for parts in recordings if len(parts) == 1]
    if loose:
        raise DataError(
            f"{root}: {pluralize(len(loose), 'recording')} in no class folder ({first_few(loose)})"
            f"{describe_contents(root)}; {_table_hint(root, 'move each into the folder of its class')}"
        )
    prefix: Parts = ()
    below = tops
    while len(below) == 1:
        prefix = (*prefix, below[0])
        inside = [parts[len(prefix) :] for parts in recordings if parts[: len(prefix)] == prefix]
        below = sorted({parts[0] for parts in inside if len(parts) > 1})
    if prefix and below:
        raise DataError(
            f"{root}: holds recordings only in {'/'.join(prefix)}, with the folders {first_few(below)};"
            f" if these are the classes, give {root.joinpath(*prefix)}"
        )
    notes = _leftovers(root, recordings, 0)
    notes += [
        f"{root / top} is taken as a class; if its recordings are none of the other classes, set data.background={top}"
        for top in tops
        if (top.startswith("_") or "background" in top.lower()) and top not in BACKGROUND_NAMES
    ]
    notes += [
        f"{root / top} is taken as a class; give this folder itself if it holds one folder per class"
        for top in subsets_of_names(tops)
    ]
    groups = [{parts[1] for parts in recordings if parts[0] == top and len(parts) > 2} for top in tops]
    common = sorted(set.intersection(*groups))
    if len(tops) > 1 and len(common) > 1:
        notes.append(f"the classes are {first_few(tops)}; their common folders ({first_few(common)}) are groups")
    return [_clip(root, parts, 0) for parts in recordings], notes


def _clips_of_parts(
    root: Path, recordings: Sequence[Parts], names: Mapping[str, str], kind: str
) -> tuple[list[Clip], list[str]]:
    """Return the clips and the notes of `train/class/clip.wav` or `fold1/class/clip.wav`.

    `names` has the subset or fold of each folder that names one; `kind` is one of `KINDS`.
    """
    used = [parts for parts in recordings if parts[0] in names and len(parts) > 2]
    folders = first_few(sorted(names))
    if not used:
        raise DataError(
            f"{root}: its folders ({folders}) are {KINDS[kind]}, not classes, and hold no class folders;"
            f" {_table_hint(root, 'write a CSV with the columns filename, label and split or fold')}"
        )
    unused = Counter(parts[0] if len(parts) > 1 else "." for parts in set(recordings).difference(used))
    notes = [
        f"{pluralize(count, 'recording')} of {root / top} not used, in no class folder of {folders}"
        for top, count in sorted(unused.items())
    ]
    if kind == "split" and len({names[parts[0]] for parts in used}) == 1:
        notes.append(f"{root}: only {used[0][0]} has classes, so test clips are chosen at random")
        names = {}
    if kind in ("part", "format"):
        notes.append(f"{root}: its folders ({folders}) are taken as {KINDS[kind]}, and those in them as classes")
        names = {}
    clips = [_clip(root, parts, 1, **({kind: names[parts[0]]} if names else {})) for parts in used]
    return clips, notes + _leftovers(root, recordings, 1)


def _clip(root: Path, parts: Parts, level: int, **facts: str) -> Clip:
    """Return the clip of a recording whose class folder is the part at `level`."""
    name, deeper = "/".join(parts), parts[level + 1 : -1]
    group = normalize(deeper[0]) if deeper else name
    return Clip(root / name, name, normalize(parts[level]), group, facts.get("fold"), facts.get("split"))


def _table_hint(root: Path, other: str) -> str:
    """Return the advice to use the table of clips that lies next to the root, or else `other`."""
    with contextlib.suppress(DataError):
        if found := find_tables(root.absolute().parent):
            return f"give the table {found[0]}" if len(found) == 1 else f"give {found[0].parent}"
    return other


def describe_contents(root: Path) -> str:
    """Return the tables in a folder, or else its other files, in brackets."""
    faults = {path.name: table_fault(path) for path in list_tables(root)}
    found = [f"{name}: {fault}" if fault else name for name, fault in faults.items()]
    found = found or [path.name for path in list_entries(root) if path.is_file() and not _is_recording(path)]
    return f" ({first_few(found)})" if found else ""


def _leftovers(root: Path, recordings: Sequence[Parts], level: int) -> list[str]:
    """Return notes about files with labels that are not used, and about folders without recordings.

    Folders without recordings, e.g. of reports and runs, are not searched. The class folders are at `level`.
    """
    holders = {root.joinpath(*parts[:depth]) for parts in recordings for depth in range(len(parts))}
    entries = [entry for folder in sorted(holders) for entry in list_entries(folder) if not _is_recording(entry)]
    listed = [path for folder in sorted(holders) for path in list_tables(folder)]
    labels = [path for path in listed if is_text(path)]
    tables = [path for path in listed if not is_text(path)]
    for path in tables:
        if path.parent != root and lists_recordings(path):
            raise DataError(
                f"{path}: lists recordings, but folder names would be the classes; give this table or move it elsewhere"
            )
    tables += [path for path in entries if path.suffix.lower() in OTHER_TABLES]
    searched = [path for path in entries if len(path.relative_to(root).parts) <= level + 1]
    found = {
        f"{pluralize(len(labels), 'file')} of labels not used": labels,
        f"{pluralize(len(tables), 'table or metadata file')} not used": tables,
        "no recordings in the folders": [path for path in searched if path.is_dir() and path not in holders],
    }
    return [
        f"{text} ({first_few(str(path.relative_to(root)) for path in paths)})" for text, paths in found.items() if paths
    ]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be read: a class must not be missing by mistake."""
    raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror}); check its permissions")
