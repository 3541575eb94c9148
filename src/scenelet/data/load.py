"""Loader of labelled recordings: a TAU root, a CSV/TSV, or one folder per class."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scenelet.audio.io import EXTENSIONS, find_recordings
from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.delimited import CsvRow, read_columns, read_rows
from scenelet.data.tau import is_tau_root, load_tau
from scenelet.errors import DataError, UsageError, did_you_mean
from scenelet.utils.text import first_few, pluralize

REQUIRED = ("filename", "label")
TABLE_EXTENSIONS = (".csv", ".tsv")
PARQUET_EXTENSIONS = (".parquet", ".pq")
SPLIT_FOLDERS = {*SPLITS, "training", "val", "valid", "testing", "dev", "eval", "evaluation"}
"""Folder names that probably mean the subsets of a split, not classes."""
HELP = "give a folder with one subfolder per class, a CSV/TSV with the columns filename and label, or a TAU data set"


def load_table(
    path: str | os.PathLike[str],
    audio_dir: str | os.PathLike[str] | None = None,
    tau_3_class: bool = False,
    require_audio: bool = True,
) -> ClipTable:
    """Recognize a data set and list its clips, ordered by name.

    These layouts are recognized:

    - A TAU root: `meta.csv` and `evaluation_setup/`; see `scenelet.data.tau`.
    - A CSV/TSV with the columns `filename`, `label` and optionally `fold`, `group`, `split`, `city`, or a folder with
      exactly one such table. The recordings are in `audio_dir`, or else next to the table or in `audio/` next to it.
    - One folder per class: `class/clip.wav`, or `class/group/clip.wav`.

    A clip without a group is its own group. The table is `synthetic` if it has a column `source` and every value begins
    with "synthetic".

    Args:
        path: a folder or a table.
        audio_dir: the folder with the recordings of a table or TAU root.
        tau_3_class: map the ten TAU scenes to indoor, outdoor, transportation.
        require_audio: refuse tables whose recordings are missing.

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
    path = Path(path)
    audio_dir = None if audio_dir is None else Path(audio_dir)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file or folder; {HELP}")
    if audio_dir is not None and not audio_dir.is_dir():
        raise UsageError(f"--audio-dir {audio_dir}: no such folder")
    if path.is_dir() and is_tau_root(path):
        table = load_tau(path, audio_dir, tau_3_class, require_audio)
    elif tau_3_class:
        raise UsageError(f"--tau-3-class maps the scenes of a TAU root, and {path} is not one")
    elif path.is_file():
        table = _load_csv(path, audio_dir, require_audio)
    elif (csv_path := _find_csv(path)) is not None:
        table = _load_csv(csv_path, audio_dir, require_audio)
    elif audio_dir is not None:
        raise UsageError(f"--audio-dir needs a CSV, and {path} was recognized as one folder per class")
    else:
        table = _load_class_folders(path)
    if len(table.labels) < 2:
        raise DataError(f"{path}: every clip has the label {table.labels[0]!r}; a classifier needs two classes or more")
    return replace(table, path=path, audio_dir=audio_dir, tau_3_class=tau_3_class)


def as_table(data: str | os.PathLike[str] | ClipTable) -> ClipTable:
    """Return a table as it is, and load the table of a path. Raises the errors of `load_table`."""
    return data if isinstance(data, ClipTable) else load_table(data)


def _find_csv(folder: Path) -> Path | None:
    """Return the only table in a folder that has the required columns, or None if there is none."""
    found = [path for path in _tables(folder) if set(REQUIRED) <= set(read_columns(path))]
    if len(found) > 1:
        names = first_few(path.name for path in found)
        raise DataError(f"{folder}: holds {len(found)} tables of clips ({names}); give the path of the one to use")
    return found[0] if found else None


def _tables(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror}); check its permissions") from None
    return [path for path in paths if path.suffix.lower() in TABLE_EXTENSIONS and path.is_file()]


def _load_csv(path: Path, audio_dir: Path | None, require_audio: bool) -> ClipTable:
    if path.suffix.lower() in EXTENSIONS:
        raise DataError(f"{path}: is one recording; {HELP}")
    rows = read_rows(path, REQUIRED)
    names = [_clip_name(path, row) for row in rows]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(f"{path}: {first_few(repeated)}: listed more than once; keep one row each")
    folders = [path.parent, path.parent / "audio"] if audio_dir is None else [audio_dir]
    root, missing = min(((folder, _missing(folder, names)) for folder in folders), key=lambda found: len(found[1]))
    if missing and require_audio:
        searched = " and ".join(map(str, folders))
        raise DataError(
            f"{path}: {len(missing):,} of {len(names):,} files do not exist ({first_few(missing)});"
            f" looked in {searched}; give --audio-dir, or delete their rows"
        )
    clips = {name: _clip(path, row, root, name) for row, name in zip(rows, names, strict=True)}
    sources = [row.values.get("source", "") for row in rows]
    licenses = sorted({row.values.get("license", "") for row in rows} - {""})
    kind = "TSV" if path.suffix.lower() == ".tsv" else "CSV"
    return ClipTable(
        root=root,
        source=f"{kind} {path.name}",
        clips=tuple(clips[name] for name in sorted(clips)),
        synthetic=all(source.startswith("synthetic") for source in sources),
        license=f"Recordings under {', '.join(licenses)}" if licenses else "",
    )


def _clip_name(path: Path, row: CsvRow) -> str:
    filename = row.values["filename"]
    if not filename:
        raise DataError(f"{path}, line {row.line}: the filename is empty; fill it in or delete the row")
    return str(PurePosixPath(filename.replace("\\", "/")))


def _missing(folder: Path, names: list[str]) -> list[str]:
    return [name for name in names if not os.path.isfile(folder / name)]


def _clip(path: Path, row: CsvRow, root: Path, name: str) -> Clip:
    values = row.values
    if not values["label"]:
        raise DataError(f"{path}, line {row.line}: {name} has no label; fill it in or delete the row")
    split = values.get("split", "").lower() or None
    if split is not None and split not in SPLITS:
        raise DataError(
            f"{path}, line {row.line}: unknown split {values['split']!r}; it is train, validation, test or empty"
            + did_you_mean(split, SPLITS)
        )
    return Clip(
        path=root / name,
        name=name,
        label=values["label"],
        group=values.get("group") or name,
        fold=values.get("fold") or None,
        split=split,
        city=values.get("city") or None,
    )


def _load_class_folders(root: Path) -> ClipTable:
    recordings = [path.relative_to(root) for path in find_recordings(root, on_error=_refuse)]
    if not recordings:
        tables = [f"{path.name} has the columns {', '.join(read_columns(path)) or '(none)'}" for path in _tables(root)]
        found = f" ({first_few(tables)})" if tables else ""
        raise DataError(f"{root}: holds no recordings and no table of clips{found}; {HELP}")
    loose = [str(path) for path in recordings if len(path.parts) == 1]
    if loose:
        raise DataError(
            f"{root}: {pluralize(len(loose), 'recording')} in no class folder ({first_few(loose)});"
            " move each into the folder of its class"
        )
    labels = {path.parts[0] for path in recordings}
    if all(label.lower() in SPLIT_FOLDERS for label in labels):
        raise DataError(
            f"{root}: its folders {', '.join(sorted(labels))} are subsets of a split, not classes;"
            " write a CSV with the columns filename, label and split"
        )
    clips = [
        Clip(
            path=root / path,
            name=path.as_posix(),
            label=path.parts[0],
            group=path.parts[1] if len(path.parts) > 2 else path.as_posix(),
        )
        for path in recordings
    ]
    return ClipTable(root, f"folder per class {root.name}", tuple(sorted(clips, key=lambda clip: clip.name)))


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be read: a class must not be missing by mistake."""
    raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror}); check its permissions")
