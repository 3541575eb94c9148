"""Folder trees: one folder per class, also below the folders of a split or of folds."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from scenelet.audio.io import EXTENSIONS, describe_passed_over, search_folder
from scenelet.data.clips import Clip, ClipTable, subsets_of_names
from scenelet.data.delimited import TABLE_EXTENSIONS
from scenelet.data.labels import check_alike_labels, normalize
from scenelet.data.tables import (
    OTHER_TABLES,
    find_table,
    is_label_text,
    is_table,
    list_entries,
    list_tables,
    lists_recordings,
    table_fault,
)
from scenelet.errors import DataError
from scenelet.utils.files import walk_files
from scenelet.utils.text import first_few, pluralize

FOLD_FOLDER = re.compile(r"fold[ _-]?(\d+)", re.IGNORECASE)
HELP = "give a folder with one subfolder per class, a CSV/TSV with the columns filename and label, or a TAU data set"
JUNK_FOLDERS = ("__MACOSX",)
MAX_DEPTH_HINT = 8

Parts = tuple[str, ...]
"""Parts of a recording's path below the root."""


def load_class_folders(root: Path) -> ClipTable:
    """List the clips of a folder tree.

    The folder of a class lies in `root`, or in a folder of `root` that names a subset of a split or a fold.

    Raises:
        DataError: there are no recordings or no classes, or a table would be passed over.
    """
    paths, passed_over = search_folder(root, on_error=_refuse)
    recordings = [path.relative_to(root).parts for path in paths]
    passed = [describe_passed_over(passed_over)] if passed_over else []
    if not recordings:
        contents = f" ({passed[0]})" if passed else _contents(root)
        raise DataError(f"{root}: holds no recordings and no table of clips{contents}; {HELP}")
    table = _load_tree(root, recordings)
    return replace(table, notes=(*passed, *table.notes))


def _load_tree(root: Path, recordings: Sequence[Parts]) -> ClipTable:
    """Recognize classes, or classes below the folders of a split or of folds."""
    tops = sorted({parts[0] for parts in recordings if len(parts) > 1})
    folds = {top: match[1] for top in tops if (match := FOLD_FOLDER.fullmatch(top))}
    subsets = subsets_of_names(tops)
    if len(folds) > 1 or (folds and len(folds) == len(tops)):
        return _load_parts(root, recordings, folds, "fold")
    if len(set(subsets.values())) > 1 or (subsets and len(subsets) == len(tops)):
        return _load_parts(root, recordings, subsets, "split")
    loose = [parts[0] for parts in recordings if len(parts) == 1]
    if loose:
        raise DataError(
            f"{root}: {pluralize(len(loose), 'recording')} in no class folder ({first_few(loose)}){_contents(root)};"
            f" {_table_hint(root, 'move each into the folder of its class')}"
        )
    if len(tops) == 1:
        _check_depth(root, recordings)
    notes = _leftovers(root, recordings, 0)
    notes += [
        f"{root / top} is taken as a class; give this folder itself if it holds one folder per class" for top in subsets
    ]
    below = [{parts[1] for parts in recordings if parts[0] == top and len(parts) > 2} for top in tops]
    common = sorted(set.intersection(*below))
    if len(tops) > 1 and len(common) > 1:
        notes.append(f"the classes are {first_few(tops)}; their common folders ({first_few(common)}) are groups")
    return _table(root, "folder per class", [_clip(root, parts, 0) for parts in recordings], notes)


def _load_parts(
    root: Path, recordings: Sequence[Parts], names: Mapping[str, str], kind: Literal["fold", "split"]
) -> ClipTable:
    """List the clips of `train/class/clip.wav` or `fold1/class/clip.wav`. Other recordings are counted.

    Args:
        root: the folder of the tree.
        recordings: the recordings found.
        names: subset or fold of each folder that names one.
        kind: the kind of the folders.
    """
    clips: list[Clip] = []
    unused: Counter[str] = Counter()
    for parts in recordings:
        if parts[0] in names and len(parts) > 2:
            clip, name = _clip(root, parts, 1), names[parts[0]]
            clips.append(replace(clip, fold=name) if kind == "fold" else replace(clip, split=name))
        else:
            unused[parts[0] if len(parts) > 1 else "."] += 1
    folders = first_few(sorted(names))
    if not clips:
        raise DataError(
            f"{root}: its folders ({folders}) are {'folds' if kind == 'fold' else 'subsets of a split'}, not classes,"
            f" and hold no class folders; {_table_hint(root)}"
        )
    notes = [
        f"{pluralize(count, 'recording')} of {root / top} not used, in no class folder of {folders}"
        for top, count in sorted(unused.items())
    ]
    if kind == "split" and len({clip.split for clip in clips}) == 1:
        notes.append(f"{root}: only {clips[0].name.partition('/')[0]} has classes, so test clips are chosen at random")
        clips = [replace(clip, split=None) for clip in clips]
    return _table(root, f"folder per class in {folders} of", clips, [*notes, *_leftovers(root, recordings, 1)])


def _clip(root: Path, parts: Parts, level: int) -> Clip:
    """Return the clip of a recording whose class folder is the part at `level`."""
    name, deeper = "/".join(parts), parts[level + 1 : -1]
    group = normalize(deeper[0]) if deeper else name
    return Clip(root / name, name, normalize(parts[level]), group)


def _table(root: Path, layout: str, clips: Sequence[Clip], notes: Sequence[str]) -> ClipTable:
    check_alike_labels(root, [clip.label for clip in clips])
    ordered = tuple(sorted(clips, key=lambda clip: clip.name))
    return ClipTable(root, f"{layout} {root.name}", ordered, notes=tuple(notes))


def _check_depth(root: Path, recordings: Sequence[Parts]) -> None:
    """Raise DataError for the only class folder if it holds several folders of recordings."""
    shared = 0
    while (
        shared < MAX_DEPTH_HINT and len({parts[: shared + 1] for parts in recordings if len(parts) > shared + 1}) == 1
    ):
        shared += 1
    below = sorted({parts[shared] for parts in recordings if len(parts) > shared + 1})
    if len(below) > 1:
        inner = root.joinpath(*recordings[0][:shared])
        raise DataError(
            f"{root}: holds recordings only in {inner.relative_to(root)}, with the folders {first_few(below)};"
            f" if these are the classes, give {inner}"
        )


def _table_hint(root: Path, other: str = "write a CSV with the columns filename, label and split or fold") -> str:
    """Return the advice to use the table of clips that lies next to the root, or else `other`."""
    try:
        found = find_table(root.absolute().parent)
    except DataError:
        found = None
    return other if found is None else f"give the table {found}"


def _contents(root: Path) -> str:
    """Return the tables and label files in a folder, in brackets."""
    tables = [f"{path.name}: {table_fault(path)}" for path in list_tables(root)]
    found = tables or [path.name for path in list_entries(root) if path.is_file() and not _is_recording(path)]
    return f" ({first_few(found)})" if found else ""


def _leftovers(root: Path, recordings: Sequence[Parts], level: int) -> list[str]:
    """Return notes about files with labels that are not used, and about folders without recordings.

    Args:
        root: the folder of the tree.
        recordings: the recordings found.
        level: level of the class folders.

    Raises:
        DataError: a table in a subfolder lists recordings.
    """
    holders = {
        parts[:depth] for parts in recordings for depth in range(len(parts))
    }  # reports and runs are not searched
    files = [
        path
        for path in walk_files(root, (".txt", ".gz", *TABLE_EXTENSIONS, *OTHER_TABLES))
        if path.parent.relative_to(root).parts in holders
    ]
    segments = [path for path in files if path.suffix.lower() == ".txt" and is_label_text(path)]
    tables = [path for path in files if is_table(path)]
    for path in tables:
        if path.parent != root and lists_recordings(path):
            raise DataError(
                f"{path}: lists recordings, but folder names would be the classes; give this table or move it elsewhere"
            )
    others = [path for path in files if path.suffix.lower() in OTHER_TABLES]
    found = {
        f"{pluralize(len(segments), 'file')} of labels not used": segments,
        f"{pluralize(len(tables) + len(others), 'table or metadata file')} not used": [*tables, *others],
        "no recordings in the folders": _empty_folders(root, recordings, level),
    }
    return [
        f"{text} ({first_few(str(path.relative_to(root)) for path in paths)})" for text, paths in found.items() if paths
    ]


def _empty_folders(root: Path, recordings: Sequence[Parts], level: int) -> list[Path]:
    """List the folders down to the level of the classes that hold no recordings."""
    used = {parts[: depth + 1] for parts in recordings for depth in range(level + 1)}
    parents = {root} | {root.joinpath(*parts[:level]) for parts in recordings if len(parts) > level + 1}
    folders = [path for parent in sorted(parents) for path in list_entries(parent) if path.is_dir()]
    return [path for path in folders if path.relative_to(root).parts not in used and path.name not in JUNK_FOLDERS]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be read: a class must not be missing by mistake."""
    raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror}); check its permissions")
