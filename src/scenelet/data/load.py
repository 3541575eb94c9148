"""Loader of labelled recordings: tables, folder trees, and public data sets as they are published."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scenelet.audio.formats import ARCHIVES, EXTENSIONS, UNREADABLE_EXTENSIONS
from scenelet.data.class_folders import HELP, describe_contents, load_class_folders
from scenelet.data.clips import Clip, ClipTable, MultiLabel, subsets_of_names
from scenelet.data.labels import check_alike_labels
from scenelet.data.tables import OTHER_TABLES, find_tables, list_entries, load_clip_rows, unread_label_files
from scenelet.data.tau import is_tau_root, load_tau
from scenelet.errors import DataError, UsageError, escape_unprintable
from scenelet.utils.console import print_message
from scenelet.utils.files import walk_files
from scenelet.utils.text import first_few, pluralize


def load_table(
    path: str | os.PathLike[str],
    audio_dir: str | os.PathLike[str] | None = None,
    tau_3_class: bool = False,
    require_audio: bool = True,
    min_classes: int = 2,
    multi_label: MultiLabel = "refuse",
) -> ClipTable:
    """Recognize a data set, list its clips ordered by name, and print what is left out.

    These layouts are recognized:

    - A TAU root: `meta.csv` and `evaluation_setup/`; see `scenelet.data.tau`.
    - A table (CSV, TSV, gzipped or not, or Parquet), or a folder with exactly one. ESC-50, UrbanSound8K and BirdCLEF
      are such folders. A table in a folder like `metadata` of the given folder is found too.
    - Label files of Audacity or Raven, or a list of AudioSet; see `scenelet.data.label_files`.
    - A table in each of the folders `train`, `validation` and `test`, or a table of each name, as in FSD50K.
    - One folder per class: `class/clip.wav`, or `class/group/clip.wav`.
    - Folders of a split or of folds with one folder per class: `train/class/clip.wav`, `fold1/class/clip.wav`.

    A table has a column of recordings (`scenelet.data.delimited.FILE_COLUMNS`) and one of classes
    (`scenelet.data.labels.LABEL_COLUMNS`). Further columns are `fold`, `group`, `split`, `city`, `device` and
    `percent` (`scenelet.data.percent`), and the times of parts of recordings
    (`scenelet.data.segments.START_COLUMNS`, `END_COLUMNS`). The recordings are in `audio_dir`, or else next to the
    table or in a folder next to it with "audio" in its name. A recording without a group is a group of its own, with
    all its parts. The table is `synthetic` if each value of a column `source` begins with "synthetic".

    Args:
        path: a folder or a table; "~" is the home folder.
        audio_dir: the folder with the recordings of a table or TAU root.
        tau_3_class: map the ten TAU scenes to indoor, outdoor, transportation.
        require_audio: refuse tables whose recordings are missing.
        min_classes: minimum number of classes.
        multi_label: what to do with rows of several labels, and with rows that label the same sound differently.

    Raises:
        DataError: the layout is not recognized, recordings are missing, or a table is invalid.
        UsageError: an option does not fit the layout.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("rain/1.wav", "rain/2.wav", "sea/1.wav"):
    ...         (Path(folder) / name).parent.mkdir(exist_ok=True)
    ...         (Path(folder) / name).touch()
    ...     load_table(folder).counts()
    {'rain': 2, 'sea': 1}
    """
    path = _expand(path)
    audio_dir = None if audio_dir is None else _expand(audio_dir)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file or folder; {HELP}")
    if audio_dir is not None and not audio_dir.is_dir():
        raise UsageError(f"--audio-dir {audio_dir}: no such folder")
    if path.is_dir() and is_tau_root(path):
        table = load_tau(path, audio_dir, tau_3_class, require_audio)
    elif tau_3_class:
        raise UsageError(f"--tau-3-class maps the scenes of a TAU root, and {path} is not one")
    elif (found := _load_tables(path, audio_dir, require_audio, multi_label)) is not None:
        table = found
    elif audio_dir is not None:
        raise UsageError(f"--audio-dir needs a CSV, and {path} was recognized as one folder per class")
    else:
        table = load_class_folders(path)
    if len(table.labels) < min_classes:
        files = describe_contents(path) if path.is_dir() else ""
        raise DataError(
            f"{path}: every clip has the label {table.labels[0]!r}{files}; a classifier needs two classes or more"
        )
    for note in table.notes:
        print_message(f"note: {escape_unprintable(note)}")
    return replace(table, path=path, audio_dir=audio_dir, tau_3_class=tau_3_class, multi_label=multi_label)


def as_table(data: str | os.PathLike[str] | ClipTable) -> ClipTable:
    """Return a table as it is, and load the table of a path. Raises the errors of `load_table`."""
    return data if isinstance(data, ClipTable) else load_table(data)


def _expand(path: str | os.PathLike[str]) -> Path:
    """Return the path with "~" as the home folder, unless there is a file or folder of that name."""
    return Path(path if os.path.exists(path) else os.path.expanduser(path))


def _load_tables(path: Path, audio_dir: Path | None, require_audio: bool, multi_label: MultiLabel) -> ClipTable | None:
    """Load a table, the tables in a folder, or those of a split's folders. Return None if there is none."""
    if path.is_file():
        if path.suffix.lower() in (*EXTENSIONS, *UNREADABLE_EXTENSIONS):
            raise DataError(f"{path}: is one recording; {HELP}")
        if path.name.lower().endswith(ARCHIVES):
            raise DataError(f"{path}: is an archive; unpack it and give the folder")
        if path.suffix.lower() in OTHER_TABLES:
            raise DataError(f"{path}: a {path.suffix} file is not read; write it as a CSV; {HELP}")
        return load_clip_rows(path, audio_dir, require_audio, multi_label)
    tables = find_tables(path)
    if len(tables) == 1:
        table = load_clip_rows(tables[0], audio_dir, require_audio, multi_label)
    else:
        subsets = _subsets_of_tables(path, tables)
        if not subsets:
            if not any(entry.is_dir() for entry in list_entries(path)) and (unread := _unread(path, audio_dir)):
                raise DataError(f"{path}: {unread}")
            return None
        parts = {each: load_clip_rows(each, audio_dir, require_audio, multi_label) for each in subsets}
        table = _join(path, parts, subsets)
    listed = {os.path.abspath(clip.path) for clip in table.clips}
    recordings = walk_files(path, (*EXTENSIONS, *UNREADABLE_EXTENSIONS))
    unlisted = [str(each.relative_to(path)) for each in recordings if os.path.abspath(each) not in listed]
    if unlisted:
        count = f"{pluralize(len(unlisted), 'recording')} in {path}"
        note = f"{count} not used, since the table does not list them ({first_few(unlisted)})"
        table = replace(table, notes=(*table.notes, note))
    if unread := _unread(path, audio_dir):
        table = replace(table, notes=(*table.notes, unread))
    return table


def _unread(folder: Path, audio_dir: Path | None) -> str:
    """Describe the text files that seem to be label files and cannot be read; return an empty text without any."""
    if not (names := unread_label_files(folder, audio_dir)):
        return ""
    count = pluralize(len(names), "text file")
    return (
        f"{count} named like a recording not read ({first_few(names)}); to use the labels, write lines of start, end"
        " and label, in seconds and with tabs between, in UTF-8"
    )


def _subsets_of_tables(root: Path, tables: Sequence[Path]) -> dict[Path, str | None]:
    """Return the subset of several tables: that of their names, e.g. `dev.csv`, or else of their folders."""
    if tables:
        names = subsets_of_names(path.name.partition(".")[0] for path in tables)
        return {path: names.get(path.name.partition(".")[0]) for path in tables}
    folders = {entry.name: entry for entry in list_entries(root) if entry.is_dir()}
    subsets = subsets_of_names(folders)
    found = {path: subset for name, subset in subsets.items() for path in find_tables(folders[name])}
    return {path: subset if len(found) > 1 else None for path, subset in found.items()}


def _join(root: Path, parts: Mapping[Path, ClipTable], subsets: Mapping[Path, str | None]) -> ClipTable:
    """Join tables to one with names relative to `root`. A clip's own split counts more than that of its table."""
    clips: list[Clip] = []
    files = defaultdict[str, list[str]](list)  # those that list a clip, by its name
    for path, part in parts.items():
        for clip in part.clips:
            recording = Path(os.path.relpath(clip.path, root)).as_posix()
            name = recording + clip.name[len(clip.recording_name) :]
            group = recording if clip.group == clip.recording_name else clip.group
            clips.append(replace(clip, name=name, group=group, split=clip.split or subsets[path]))
            files[name].append(str(path.relative_to(root)))
    if repeated := [name for name, paths in files.items() if len(paths) > 1]:
        both = " and ".join(files[repeated[0]])
        raise DataError(f"{root}: {first_few(repeated)}: labelled in several files, such as {both}; keep one of them")
    check_alike_labels(root, [clip.label for clip in clips])
    names = [str(path.relative_to(root)) for path in parts]
    source = f"tables {' and '.join(names)}" if any(subsets.values()) else f"{pluralize(len(names), 'label file')}"
    notes = tuple(note for part in parts.values() for note in part.notes)
    synthetic = all(part.synthetic for part in parts.values())
    return ClipTable(root, source, tuple(sorted(clips, key=lambda clip: clip.name)), synthetic=synthetic, notes=notes)
