"""Tables of clips: the search for one in a folder, and the clips of its rows."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from scenelet.audio.formats import EXTENSIONS, UNREADABLE_EXTENSIONS
from scenelet.data.clips import SPLIT_NAMES, SPLITS, Clip, ClipTable
from scenelet.data.delimited import FILE_COLUMNS, TABLE_EXTENSIONS, TableRow, column_name, read_head, read_rows
from scenelet.data.labels import LABEL_COLUMNS, check_alike_labels, check_single_labels, normalize
from scenelet.data.locate import METADATA_FOLDER, locate
from scenelet.data.segments import ADVICE, check_no_segments, is_segment_list
from scenelet.errors import DataError, did_you_mean
from scenelet.utils.text import first_few

AUDIO_EXTENSIONS = (*EXTENSIONS, *UNREADABLE_EXTENSIONS)
OTHER_TABLES = (".xlsx", ".xls", ".ods", ".jsonl", ".json", ".txt")
"""Extensions of files that often hold labels and are not read."""
GROUP_COLUMNS = ("group", "src_file", "fsid", "identifier")
"""Accepted names of the column of groups: ours, and those of ESC-50, UrbanSound8K and TAU."""
WANTED = (
    f"name the column of recordings filename (or {', '.join(FILE_COLUMNS[1:])})"
    f" and the column of classes label (or {', '.join(LABEL_COLUMNS[1:])})"
)
NO_HEADER = "its first line is not a header; write filename,label above the rows"
ONE_HOT = "it has one column of 0 and 1 per class; write the class of each recording in one column label"


def find_table(folder: Path) -> Path | None:
    """Return the only table of clips in a folder, else in its folders like `metadata`; None if there is none.

    Raises:
        DataError: there are several, or a table lists recordings in a form that cannot be read.
    """
    for places in ([folder], [path for path in list_entries(folder) if path.is_dir() and _is_metadata(path)]):
        faults = {path: table_fault(path) for place in places for path in list_tables(place)}
        found = [path for path, fault in faults.items() if fault is None]
        if len(found) > 1:
            names = first_few(str(path.relative_to(folder)) for path in found)
            raise DataError(
                f"{folder}: holds {len(found)} tables of clips ({names}); give the path"
                " of the one to use, or join them with a column split"
            )
        if found:
            return found[0]
        for path, fault in faults.items():
            if fault and lists_recordings(path):
                raise DataError(f"{path}: {fault}; or move it elsewhere, to take folder names as classes")
    return None


def list_tables(folder: Path) -> list[Path]:
    """List the tables in a folder that can be read, sorted, and text files that mark segments."""
    paths = [path for path in list_entries(folder) if path.is_file()]
    tables = [path for path in paths if is_table(path)]
    return tables + [path for path in paths if path.suffix.lower() == ".txt" and is_segment_file(path)]


def is_table(path: Path) -> bool:
    """Return True if the extension is that of a table that can be read."""
    return path.name.lower().endswith(TABLE_EXTENSIONS)


def table_fault(path: Path) -> str | None:
    """Return why a file is no table of clips, with the fix; None if it is one.

    Raises:
        DataError: the file is not a table.
    """
    head = read_head(path) or [[]]
    columns = [column_name(field) for field in head[0]]
    has_file, has_label = (not set(names).isdisjoint(columns) for names in (FILE_COLUMNS, LABEL_COLUMNS))
    if has_file and has_label:
        return None
    if is_segment_list(head):
        return f"labels parts of recordings; {ADVICE}"
    if any(field.lower().endswith(AUDIO_EXTENSIONS) for field in head[0]):
        return NO_HEADER
    if has_file and len(head) > 1 and len(columns) > 2 and _is_one_hot(head):
        return ONE_HOT
    shown = ", ".join(head[0][:12]).strip() if any(columns) else "none"
    return f"its columns are {shown}; {WANTED}"


def lists_recordings(path: Path) -> bool:
    """Return True if a table seems to list recordings, or parts of them."""
    head = read_head(path) or [[]]
    columns = {column_name(field) for field in head[0]}
    is_file_name = any(field.strip().lower().endswith(AUDIO_EXTENSIONS) for line in head for field in line)
    return is_file_name or is_segment_list(head) or not columns.isdisjoint(FILE_COLUMNS)


def load_clip_rows(path: Path, audio_dir: Path | None, require_audio: bool) -> ClipTable:
    """Read the clips of a table; see `scenelet.data.load.load_table` for its columns."""
    if (fault := table_fault(path)) is not None:
        raise DataError(f"{path}: {fault}")
    rows = read_rows(path)
    file_column = next(column for column in FILE_COLUMNS if column in rows[0].values)
    label_columns = [column for column in LABEL_COLUMNS if column in rows[0].values]
    names = [_clip_name(path, file_column, row) for row in rows]
    located = locate(path, names, audio_dir)
    notes = [_column_note(path, label_columns)]
    if file_column != "slice_file_name":  # the times of UrbanSound8K are those of the source, not of the slice
        recordings = {name: located.root / real for name, real in located.names.items()}
        notes.append(check_no_segments(path, rows, recordings, names))
    repeated = [name for name, count in Counter(located.names.get(name, name) for name in names).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: {first_few(repeated)}: listed more than once; keep one row each")
    if located.error is not None and require_audio:
        raise located.error
    labels = [_label(path, label_columns[0], row, name) for row, name in zip(rows, names, strict=True)]
    notes.append(check_single_labels(path, label_columns[0], labels, [row.line for row in rows]))
    check_alike_labels(path, labels)
    clips = [
        _clip(path, row, label, located.root, located.names.get(name, name))
        for row, label, name in zip(rows, labels, names, strict=True)
    ]
    sources = [row.values.get("source", "") for row in rows]
    licenses = sorted({row.values.get("license", "") for row in rows} - {""})
    return ClipTable(
        root=located.root,
        source=f"{_kind(path)} {path.name}",
        clips=tuple(sorted(clips, key=lambda clip: clip.name)),
        synthetic=all(source.startswith("synthetic") for source in sources),
        license=f"Recordings under {', '.join(licenses)}" if licenses else "",
        notes=tuple(note for note in notes if note),
    )


def list_entries(folder: Path) -> list[Path]:
    """List what is in a folder and not hidden, sorted. Raises DataError if the folder cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror}); check its permissions") from None


def _is_metadata(path: Path) -> bool:
    return METADATA_FOLDER.fullmatch(path.name) is not None


def is_segment_file(path: Path) -> bool:
    """Return True for a file that labels parts of recordings, as Audacity and Raven write it."""
    try:
        return is_segment_list(read_head(path))
    except DataError:
        return False  # other text


def _is_one_hot(head: Sequence[Sequence[str]]) -> bool:
    values = {field for line in head[1:] for field in line[1:]}
    return values <= {"0", "1", "0.0", "1.0", ""} and len(values) > 1


def _kind(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return "TSV" if name.endswith(".tsv") else "CSV" if name.endswith((".csv", ".txt")) else "table"


def _column_note(path: Path, label_columns: Sequence[str]) -> str:
    others = label_columns[1:]
    return (
        f"{path.name}: the classes are those of the column {label_columns[0]}, not {first_few(others)}"
        if others
        else ""
    )


def _clip_name(path: Path, column: str, row: TableRow) -> str:
    filename = row.values[column]
    if not filename:
        raise DataError(f"{path}, line {row.line}: the {column} is empty; fill it in or delete the row")
    if column == "slice_file_name" and row.values.get("fold"):
        filename = f"fold{row.values['fold']}/{filename}"
    return str(PurePosixPath(os.path.expanduser(filename.replace("\\", "/"))))


def _label(path: Path, column: str, row: TableRow, name: str) -> str:
    if not (label := normalize(row.values[column])):
        raise DataError(f"{path}, line {row.line}: {name} has no {column}; fill it in or delete the row")
    if not set(label).isdisjoint("\r\n"):
        raise DataError(f"{path}, line {row.line}: the {column} of {name} holds a line end; check for a missing quote")
    return label


def _clip(path: Path, row: TableRow, label: str, root: Path, name: str) -> Clip:
    values = row.values
    split = SPLIT_NAMES.get(values.get("split", "").lower())
    if split is None and values.get("split"):
        raise DataError(
            f"{path}, line {row.line}: unknown split {values['split']!r}; it is train, validation, test or empty"
            + did_you_mean(values["split"].lower(), SPLITS)
        )
    group = next((values[column] for column in GROUP_COLUMNS if values.get(column)), "")
    return Clip(
        path=root / name,
        name=name,
        label=label,
        group=normalize(group) or name,
        fold=_fold(values.get("fold", "")),
        split=split,
        city=normalize(values.get("city", "")) or None,
    )


def _fold(text: str) -> str | None:
    """Return a fold's name. pandas writes integers with a point if one is missing."""
    number = text.removesuffix(".0")
    return (number if number.isdecimal() else text) or None
