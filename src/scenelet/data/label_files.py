"""Label files of other programs, as rows of a table of clips: Audacity, Raven, and AudioSet's lists.

- Audacity exports a text file per recording, with start, end and label between tabs. Labels with frequencies have a
  second line, which begins with a backslash.
- Raven's selection tables have a row per selection and view. They are for one recording, or name several.
- AudioSet's lists name videos. Their recordings have names like `YTID.wav`, or `YTID_30.000_40.000.wav` if they were
  cut.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from scenelet.audio.io import EXTENSIONS, info
from scenelet.data.delimited import (
    FILE_COLUMNS,
    PARQUET_EXTENSIONS,
    TableRow,
    column_name,
    read_head,
    read_rows,
    read_text,
)
from scenelet.data.labels import LABEL_COLUMNS
from scenelet.data.locate import locate
from scenelet.data.segments import seconds_of
from scenelet.errors import AudioError, DataError

Program = Literal["Audacity", "Raven", "AudioSet"]
AUDACITY_LINE = re.compile(r"-?\d+([.,]\d+)?\t-?\d+([.,]\d+)?(\t.*)?")
RAVEN_START, RAVEN_END = "begin_time_(s)", "end_time_(s)"
RAVEN_LABELS = ("annotation", *LABEL_COLUMNS, "annotations", "common_name", "scientific_name", "tag", "tags", "type")
RAVEN_SUFFIX = re.compile(r"(\.table\.\d+)?\.(birdnet\.)?(selections?|results)(\.table)?", re.IGNORECASE)
"""End of the name of a table that Raven or BirdNET writes for one recording, without its extension."""
AUDIOSET_HEADER = "# YTID"
MAX_CUT_SECONDS = 0.5
"""Maximum length of an AudioSet recording above that of its segment, if it is the segment only."""
LINE_ENDS = re.compile(r"\r\n|\r|\n")


def program_of(path: Path) -> Program | None:
    """Return the program that wrote a label file; None for other files. Raises DataError if it cannot be read."""
    if path.name.lower().endswith(PARQUET_EXTENSIONS):
        return None
    lines = [line for line in LINE_ENDS.split(read_text(path, head_only=True)) if line.strip()]
    first = lines[0] if lines else ""
    columns = set(map(column_name, re.split("[\t,;]", first)))
    if any(line.startswith(AUDIOSET_HEADER) for line in lines):
        return "AudioSet"
    if {RAVEN_START, RAVEN_END} <= columns and columns.isdisjoint(FILE_COLUMNS):
        return "Raven"
    return "Audacity" if AUDACITY_LINE.fullmatch(first) else None


def has_labels(path: Path) -> bool:
    """Return False for a Raven table that is a header only, as programs write it for a recording without a sound."""
    return program_of(path) != "Raven" or len(read_head(path)) > 1


def read_label_file(path: Path, program: Program, audio_dir: Path | None) -> list[TableRow]:
    """Read a label file as a table with the columns filename, label, start and end.

    Raises:
        DataError: a line is not one of the program's, a column is missing, or there are no labels.
    """
    readers = {"Audacity": _read_audacity, "Raven": _read_raven, "AudioSet": _read_audioset}
    if not (rows := list(readers[program](path, audio_dir))):
        raise DataError(f"{path}: has no labels; add some, or move it elsewhere")
    return rows


def find_recording(path: Path, audio_dir: Path | None) -> str:
    """Return the name of the recording that a label file is for: that of the file up to a dot, with its extension.

    For `a.1.Table.1.selections.txt`, this can be `a.1.wav`. If there is no such recording, its most likely name is
    returned.
    """
    stem = path.name.rpartition(".")[0]
    parts = stem.split(".")
    for name in (".".join(parts[:count]) for count in range(len(parts), 0, -1)):
        beside = [name + end for end in EXTENSIONS if (audio_dir or path.parent).joinpath(name + end).is_file()]
        if len(beside) == 1:  # `locate` would list the folder for each file
            return beside[0]
        if name and name in (located := locate(path, [name], audio_dir)[1]):
            return located[name]
    return RAVEN_SUFFIX.sub("", stem)


def _read_audacity(path: Path, audio_dir: Path | None) -> Iterator[TableRow]:
    name = find_recording(path, audio_dir)
    for number, line in enumerate(LINE_ENDS.split(read_text(path)), 1):
        fields = line.split("\t")
        if not line.strip() or fields[0] == "\\":
            continue
        if len(fields) < 2:
            raise DataError(f"{path}, line {number}: is not start, end and label with tabs between; export it again")
        start, end, label = (field.strip() for field in (*fields, "")[:3])
        yield TableRow(number, {"filename": name, "label": label, "start": start, "end": end})


def _read_raven(path: Path, audio_dir: Path | None) -> Iterator[TableRow]:
    rows = read_rows(path)
    columns = rows[0].values
    label = next((name for name in RAVEN_LABELS if name in columns), None)
    if label is None:
        raise DataError(
            f"{path}: its columns are {', '.join(columns)}; name the column of classes Annotation, Label or Species"
        )
    own = find_recording(path, audio_dir) if not {"begin_file", "begin_path"} & columns.keys() else ""
    seen = set()
    for row in rows:
        values = row.values
        begin_path = values.get("begin_path", "").replace("\\", "/")
        name = values.get("begin_file") or PurePosixPath(begin_path).name or own
        start, end = values[RAVEN_START], values[RAVEN_END]
        selection = values.get("selection"), name, start, end
        if values.get("selection") and selection in seen:
            continue  # another view of the same selection
        seen.add(selection)
        offset, first, last = map(seconds_of, (values.get("file_offset_(s)", ""), start, end))
        if not own and offset is not None and first is not None and last is not None:
            start, end = str(offset), str(round(offset + last - first, 9))  # the times count from the first file
        others = {key: values[key] for key in ("split", "fold", "group", "city") if key in values}
        named = {"filename": name, "label": values[label], "start": start, "end": end}
        yield TableRow(row.line, others | named)


def _read_audioset(path: Path, audio_dir: Path | None) -> Iterator[TableRow]:
    lines = LINE_ENDS.split(read_text(path))
    parsed = csv.reader(lines, skipinitialspace=True)
    rows = [(parsed.line_num, fields) for fields in parsed if fields and not fields[0].startswith("#")]
    if wrong := next((number for number, fields in rows if len(fields) != 4), None):
        raise DataError(f"{path}, line {wrong}: is not YTID, start, end and labels; put the labels in quotes")
    names = {(fields[0], fields[1], fields[2]): _recording_names(*fields[:3]) for _, fields in rows}
    root, located, _ = locate(path, list(dict.fromkeys(name for each in names.values() for name in each)), audio_dir)
    for number, (ytid, start, end, labels) in rows:
        name = next((name for name in names[ytid, start, end] if name in located), None)
        values = {"filename": name or ytid, "labels": labels.strip(), "start": start, "end": end}
        if name is not None and (name not in (ytid, f"Y{ytid}") or _is_cut(root / located[name], start, end)):
            values |= {"start": "", "end": ""}
        yield TableRow(number, values)


def _recording_names(ytid: str, start: str, end: str) -> list[str]:
    """Return the names that download programs give to a segment's recording, without extension."""
    names = [ytid, f"Y{ytid}"]
    first, last = seconds_of(start), seconds_of(end)
    if first is not None and last is not None:
        for form in ("{:.3f}", "{:g}", "{:.0f}"):
            for factor in (1, 1000):
                a, b = form.format(factor * first), form.format(factor * last)
                names += [f"{ytid}_{a}_{b}", f"{ytid}_{a}"]
    return names


def _is_cut(recording: Path, start: str, end: str) -> bool:
    """Return True if a recording is not longer than its segment, so that it is no complete video."""
    first, last = seconds_of(start), seconds_of(end)
    try:
        return first is None or last is None or info(recording).seconds <= last - first + MAX_CUT_SECONDS
    except AudioError:
        return True  # the audit or the training reports it
