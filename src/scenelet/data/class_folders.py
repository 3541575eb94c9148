"""Folder trees: one folder per class, also below the folders of a split or of folds."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scenelet.audio.io import EXTENSIONS, describe_passed_over, search_folder
from scenelet.data.clips import Clip, ClipTable, subsets_of_names
from scenelet.data.delimited import TABLE_EXTENSIONS
from scenelet.data.labels import check_alike_labels, normalize
from scenelet.data.tables import (
    OTHER_TABLES,
    find_table,
    is_segment_file,
    is_table,
    list_entries,
    list_tables,
    lists_recordings,
    table_fault,
)
from scenelet.errors import DataError
from scenelet.utils.files import walk_files
from scenelet.utils.text import first_few, pluralize

FOLD_FOLDER = re.compile(r"fold[ _-]?([^\W_]+)", re.IGNORECASE)
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
    if tops and all(FOLD_FOLDER.fullmatch(top) for top in tops):
        return _load_folds(root, recordings)
    subsets = subsets_of_names(tops)
    if tops and (len(set(subsets.values())) > 1 or len(subsets) == len(tops)):
        return _load_subsets(root, recordings, subsets)
    loose = [parts[0] for parts in recordings if len(parts) == 1]
    if loose:
        raise _loose_error(root, loose)
    notes = _leftovers(root, recordings, 0)
    notes += [
        f"{root / top} is taken as a class; give this folder itself if it holds one folder per class" for top in subsets
    ]
    clips = [_clip(root, parts, 0) for parts in recordings]
    if len({clip.label for clip in clips}) == 1:
        _check_depth(root, recordings)
    return _table(root, "folder per class", clips, notes)


def _load_folds(root: Path, recordings: Sequence[Parts]) -> ClipTable:
    """List the clips of `fold1/class/clip.wav`."""
    loose = ["/".join(parts) for parts in recordings if len(parts) < 3]
    if loose:
        raise DataError(
            f"{root}: its folders are folds, not classes, and {pluralize(len(loose), 'recording')} in no class folder"
            f" ({first_few(loose)}); {_table_hint(root)}"
        )
    names = {parts[0]: FOLD_FOLDER.fullmatch(parts[0]) for parts in recordings}
    clips = [_clip(root, parts, 1, fold=match[1]) for parts in recordings if (match := names[parts[0]])]
    return _table(root, "folder per class in folds of", clips, _leftovers(root, recordings, 1))


def _load_subsets(root: Path, recordings: Sequence[Parts], subsets: dict[str, str]) -> ClipTable:
    """List the clips of `train/class/clip.wav`. Other folders are passed over."""
    is_split = len(set(subsets.values())) > 1
    clips: list[Clip] = []
    unused: Counter[str] = Counter()
    for parts in recordings:
        if parts[0] in subsets and len(parts) > 2:
            clips.append(_clip(root, parts, 1, split=subsets[parts[0]] if is_split else None))
        else:
            unused[parts[0] if len(parts) > 1 else "."] += 1
    folders = ", ".join(sorted(subsets))
    if not clips:
        raise DataError(
            f"{root}: {folders} {'are subsets' if len(subsets) > 1 else 'is a subset'} of a split, not classes,"
            f" without class folders; {_table_hint(root)}"
        )
    notes = [
        f"{pluralize(count, 'recording')} of {root / name} not used, in no class folder of {folders}"
        for name, count in sorted(unused.items())
    ]
    if not is_split:
        notes.append(f"{root}: holds only {folders}, so test clips are chosen at random")
    notes += _leftovers(root, recordings, 1)
    return _table(root, f"folder per class in {folders} of", clips, notes)


def _clip(root: Path, parts: Parts, level: int, fold: str | None = None, split: str | None = None) -> Clip:
    """Return the clip of a recording whose class folder is the part at `level`."""
    name, deeper = "/".join(parts), parts[level + 1 : -1]
    group = normalize(deeper[0]) if deeper else name
    return Clip(root / name, name, normalize(parts[level]), group, fold, split)


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


def _loose_error(root: Path, loose: Sequence[str]) -> DataError:
    return DataError(
        f"{root}: {pluralize(len(loose), 'recording')} in no class folder ({first_few(loose)}){_contents(root)};"
        f" {_table_hint(root, 'move each into the folder of its class')}"
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
    segments = [path for path in walk_files(root, (".txt",)) if is_segment_file(path)]
    tables = [path for path in walk_files(root, (*TABLE_EXTENSIONS, ".gz")) if is_table(path)]
    for path in tables:
        if path.parent != root and lists_recordings(path):
            raise DataError(
                f"{path}: lists recordings, but folder names would be the classes; give this table or move it elsewhere"
            )
    others = walk_files(root, [extension for extension in OTHER_TABLES if extension != ".txt"])
    found = {
        f"{pluralize(len(segments), 'file')} with labels of segments not used": segments,
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
