"""Tables of clips: the search for one in a folder, and the clips of its rows."""

import os
import re
from collections import Counter
from pathlib import Path, PurePath, PurePosixPath

from scenelet.audio.formats import EXTENSIONS, UNREADABLE_EXTENSIONS
from scenelet.audio.segment import segment_name
from scenelet.data.clips import SPLIT_NAMES, SPLITS, Clip, ClipTable, MultiLabel, known_device, subsets_of_names
from scenelet.data.delimited import FILE_COLUMNS, TABLE_EXTENSIONS, TableRow, column_name, read_head, read_rows
from scenelet.data.label_files import has_labels, program_of, read_label_file
from scenelet.data.labels import LABEL_COLUMNS, check_alike_labels, normalize, single_labels
from scenelet.data.locate import METADATA_FOLDER, locate
from scenelet.data.percent import parse_percent
from scenelet.data.segments import Span, drop_conflicts, read_spans
from scenelet.errors import DataError, did_you_mean
from scenelet.utils.files import SYSTEM_NAMES
from scenelet.utils.text import first_few, pluralize

AUDIO_EXTENSIONS = (*EXTENSIONS, *UNREADABLE_EXTENSIONS)
OTHER_TABLES = (
    *(".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".jsonl", ".ndjson", ".json", ".yaml", ".yml", ".xml", ".toml"),
    *(".labels", ".feather", ".arrow", ".pkl", ".pickle", ".npy", ".npz", ".h5", ".hdf5", ".mat"),
    *(".sqlite", ".sqlite3", ".db", ".tab", ".lst", ".scp", ".list", ".rttm", ".textgrid"),
)
"""Extensions of files that often hold labels and are not read."""
KINDS = {".csv": "CSV", ".txt": "CSV", ".tsv": "TSV"}
GROUP_COLUMNS = ("group", "src_file", "fsid", "identifier")
"""Accepted names of the column of groups: ours, and those of ESC-50, UrbanSound8K and TAU."""
DEVICE_COLUMNS = ("device", "source_label")
"""Accepted names of the column of recording devices: ours, and that of TAU."""
WANTED = (
    f"name the column of recordings filename (or {', '.join(FILE_COLUMNS[1:])})"
    f" and the column of classes label (or {', '.join(LABEL_COLUMNS[1:])})"
)

SIMILAR_COLUMNS = {
    "filename": re.compile(r".*(audio|wav|recording|sound|clip|file|path).*|name|id|key|uid"),
    "label": re.compile(
        r".*(class|klasse|label|target|tag|annotation|scene|genre|species|categor|choice|event).*"
        r"|y|common_name|scientific_name|ebird_code|manual_id"
    ),
}
"""Names that other programs use for the columns of recordings and of classes."""


def find_tables(folder: Path) -> list[Path]:
    """Return the tables of clips in a folder that belong together, else those in its folders like `metadata`.

    They are the only table, those of a split's subsets (`dev.csv`, `eval.csv`), or the label files of recordings.

    Raises:
        DataError: there are several other tables, or one lists recordings in a form that cannot be read.
    """
    folders = [path for path in list_entries(folder) if path.is_dir()]
    for places in ([folder], [path for path in folders if METADATA_FOLDER.fullmatch(path.name)]):
        faults = {path: table_fault(path) for place in places for path in list_tables(place)}
        found = [path for path, fault in faults.items() if fault is None]
        label_files = [path for path in found if program_of(path) in ("Audacity", "Raven")]
        tables = [path for path in found if path not in label_files]
        if len(tables) > 1 and len(subsets_of_names(path.name.partition(".")[0] for path in tables)) < len(tables):
            names = first_few(str(path.relative_to(folder)) for path in tables)
            raise DataError(
                f"{folder}: holds {len(tables)} tables of clips ({names}); give the path"
                " of the one to use, or join them with a column split"
            )
        if found:
            return tables or [path for path in label_files if has_labels(path)] or label_files
        for path, fault in faults.items():
            if lists_recordings(path):
                other = "; or move it elsewhere, to take folder names as classes" if folders else ""
                raise DataError(f"{path}: {fault}{other}")
    return []


def list_entries(folder: Path) -> list[Path]:
    """List what is in a folder and not hidden or the system's, sorted. Raises DataError if it cannot be read."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        return [path for path in paths if path.name not in SYSTEM_NAMES]
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror}); check its permissions") from None


def list_tables(folder: Path) -> list[Path]:
    """List the tables in a folder that can be read, sorted, and then the text files that label recordings."""
    extensions = (*TABLE_EXTENSIONS, ".txt")
    paths = [path for path in list_entries(folder) if path.name.lower().endswith(extensions) and path.is_file()]
    tables = [path for path in paths if not is_text(path)]
    return tables + [path for path in paths if is_text(path) and not is_split_list(path) and _labels_recordings(path)]


def is_split_list(path: Path) -> bool:
    """Return True for a text file that names a subset and has one `class/clip.wav` per line, as Speech Commands."""
    if not is_text(path) or not os.access(path, os.R_OK) or not subsets_of_names([path.stem]):
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    names = [line.strip().lower() for line in lines if line.strip()]
    return bool(names) and all("/" in name and name.endswith(AUDIO_EXTENSIONS) for name in names)


def is_text(path: Path) -> bool:
    """Return True for a text file that is not called a table."""
    return path.suffix.lower() == ".txt"


def _labels_recordings(path: Path) -> bool:
    """Return True for a text file that labels recordings, or parts of them as those of Audacity and Raven."""
    try:
        head = read_head(path)
        lists_files = all(line[0].lower().endswith(AUDIO_EXTENSIONS) for line in head)
        return bool(head) and (lists_files or table_fault(path) is None)
    except DataError:
        return False  # other text


def unread_label_files(folder: Path, audio_dir: Path | None) -> list[str]:
    """List the text files of a folder that have the name of a recording and text, but no labels that can be read."""
    names = [path.name for path in list_entries(audio_dir or folder)]
    recordings = {name.rpartition(".")[0] for name in names if name.lower().endswith(AUDIO_EXTENSIONS)}
    texts = [path for path in list_entries(folder) if is_text(path) and path.stem in recordings and path.is_file()]
    return [path.name for path in texts if path.read_bytes().strip() and not _labels_recordings(path)]


def table_fault(path: Path) -> str | None:
    """Return why a file is no table of clips, with the fix; None if it is one. Raises DataError if it is no table."""
    if program_of(path) is not None:
        return None
    head = read_head(path) or [[]]
    columns = [column_name(field) for field in head[0]]
    has_file, has_label = (not set(names).isdisjoint(columns) for names in (FILE_COLUMNS, LABEL_COLUMNS))
    if has_file and has_label:
        return None
    if any(field.lower().endswith(AUDIO_EXTENSIONS) for field in head[0]):
        names = ", ".join(("filename", "label", "group")[: max(len(columns), 2)])
        return f"its first line is not a header; write {names} above the columns, with the separator of the rows"
    values = {field for line in head[1:] for field in line[1:]}
    if has_file and len(columns) > 2 and len(values) > 1 and values <= {"0", "1", "0.0", "1.0", ""}:
        return "it has one column of 0 and 1 per class; write the class of each recording in one column label"
    shown = ", ".join(head[0][:12]).strip() if any(columns) else "none"
    present = {"filename": has_file, "label": has_label}
    similar = {
        name: next((field for field in head[0] if not present[name] and pattern.fullmatch(column_name(field))), None)
        for name, pattern in SIMILAR_COLUMNS.items()
    }
    renames = " and ".join(f"{field.strip()} to {name}" for name, field in similar.items() if field)
    return f"its columns are {shown}; {WANTED}{f'; for example, rename {renames}' if renames else ''}"


def lists_recordings(path: Path) -> bool:
    """Return True if a table seems to list recordings, or parts of them."""
    if program_of(path) is not None:
        return True
    head = read_head(path) or [[]]
    is_file_name = any(field.strip().lower().endswith(AUDIO_EXTENSIONS) for line in head for field in line)
    return is_file_name or not {*map(column_name, head[0])}.isdisjoint(FILE_COLUMNS)


def load_clip_rows(
    path: Path, audio_dir: Path | None, require_audio: bool, multi_label: MultiLabel = "refuse"
) -> ClipTable:
    """Read the clips of a table or label file; see `scenelet.data.load.load_table` for their columns."""
    if (fault := table_fault(path)) is not None:
        raise DataError(f"{path}: {fault}")
    program = program_of(path)
    rows = read_rows(path) if program is None else read_label_file(path, program, audio_dir)
    file_column = next(column for column in FILE_COLUMNS if column in rows[0].values)
    label_column, *others = [column for column in LABEL_COLUMNS if column in rows[0].values]
    listed = [_clip_name(path, file_column, row) for row in rows]
    root, located, missing = locate(path, listed, audio_dir)
    notes = []
    if program == "AudioSet" and located:  # videos disappear, so that lists are never complete
        kept = [(row, name) for row, name in zip(rows, listed, strict=True) if name in located]
        if len(kept) < len(rows):
            notes.append(f"{path.name}: {pluralize(len(rows) - len(kept), 'row')} left out, without a recording")
        rows, listed, missing = [row for row, _ in kept], [name for _, name in kept], None
    if others:
        notes.append(f"{path.name}: the classes are those of the column {label_column}, not {first_few(others)}")
    spans: list[Span | None] = [None] * len(rows)
    if file_column != "slice_file_name":  # the times of UrbanSound8K are those of the source, not of the slice
        spans, note = read_spans(path, rows, {name: root / real for name, real in located.items()}, listed)
        notes.append(note)
    if missing is not None and require_audio:
        raise missing
    cells = [_label(path, label_column, row, name) for row, name in zip(rows, listed, strict=True)]
    labels, note = single_labels(path, label_column, cells, [row.line for row in rows], multi_label)
    found = [
        (row.line, _clip(path, row, label, located.get(name, name), root, span))
        for row, label, name, span in zip(rows, labels, listed, spans, strict=True)
        if label is not None
    ]
    clips, overlap_note = drop_conflicts(path, found, multi_label)
    notes += [note, overlap_note]
    if repeated := [name for name, count in Counter(clip.name for clip in clips).items() if count > 1]:
        raise DataError(f"{path}: {first_few(repeated)}: listed more than once; keep one row each, with one class")
    check_alike_labels(path, [clip.label for clip in clips])
    licenses = sorted({row.values.get("license", "") for row in rows} - {""})
    kind = KINDS.get(PurePath(path.name.lower().removesuffix(".gz")).suffix, "table")
    return ClipTable(
        root=root,
        source=f"{program or kind} {path.name}",
        clips=tuple(sorted(clips, key=lambda clip: clip.name)),
        synthetic=all(row.values.get("source", "").startswith("synthetic") for row in rows),
        license=f"Recordings under {', '.join(licenses)}" if licenses else "",
        notes=tuple(note for note in notes if note),
    )


def _clip_name(path: Path, column: str, row: TableRow) -> str:
    filename = row.values[column]
    if not filename:
        raise DataError(f"{path}, line {row.line}: the {column} is empty; fill it in or delete the row")
    if re.match(r"[\w+.-]{2,}://", filename):
        shown = re.sub(r"//[^/]*@", "//", filename).split("?")[0]
        raise DataError(f"{path}, line {row.line}: {shown} is an address; download it and write the name of its file")
    if column == "slice_file_name" and row.values.get("fold"):
        filename = f"fold{row.values['fold']}/{filename}"
    return str(PurePosixPath(os.path.expanduser(filename.replace("\\", "/"))))


def _label(path: Path, column: str, row: TableRow, name: str) -> str:
    if not (label := normalize(row.values[column])):
        raise DataError(f"{path}, line {row.line}: {name} has no {column}; fill it in or delete the row")
    if not set(label).isdisjoint("\r\n"):
        raise DataError(f"{path}, line {row.line}: the {column} of {name} holds a line end; check for a missing quote")
    return label


def _clip(path: Path, row: TableRow, label: str, name: str, root: Path, span: Span | None) -> Clip:
    values = row.values
    split = SPLIT_NAMES.get(values.get("split", "").lower())
    if split is None and values.get("split"):
        raise DataError(
            f"{path}, line {row.line}: unknown split {values['split']!r}; it is train, validation, test or empty"
            + did_you_mean(values["split"].lower(), SPLITS)
        )
    group = next((values[column] for column in GROUP_COLUMNS if values.get(column)), "")
    fold = re.sub(r"^(\d+)\.0$", r"\1", values.get("fold", ""))  # pandas writes so if a fold is missing
    city = normalize(values.get("city", ""))
    device = next((values[column] for column in DEVICE_COLUMNS if values.get(column)), "")
    start, end = span or (None, None)
    return Clip(
        path=root / name,
        name=name if span is None else segment_name(name, *span),
        label=label,
        group=normalize(group) or name,
        fold=fold or None,
        split=split,
        city=city or None,
        device=known_device(normalize(device)),
        percent=parse_percent(path, row.line, values.get("percent", ""), split),
        start=start,
        end=end,
    )
