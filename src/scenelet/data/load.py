"""Recognize labelled recordings: a TAU root, a CSV/TSV, or a folder per class."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scenelet.audio.io import EXTENSIONS
from scenelet.data.clips import SPLITS, Clip, ClipTable
from scenelet.data.delimited import CsvRow, read_columns, read_rows
from scenelet.data.tau import is_tau_root, load_tau
from scenelet.errors import DataError, UsageError, did_you_mean, escape_unprintable
from scenelet.utils.console import print_message
from scenelet.utils.text import first_few

REQUIRED = ("filename", "label")
TABLE_EXTENSIONS = (".csv", ".tsv")
PARQUET_EXTENSIONS = (".parquet", ".pq")
SPLIT_FOLDERS = {*SPLITS, "training", "val", "valid", "testing", "dev", "eval", "evaluation"}
HELP = "give a TAU root, a folder with one subfolder a class, or a CSV/TSV with the columns filename and label"


def load_table(
    data: Path, audio_dir: Path | None = None, tau_3_class: bool = False, require_audio: bool = True
) -> ClipTable:
    """Recognize `data` and list its clips, ordered by name.

    - A TAU root: `meta.csv` and `evaluation_setup/`; see `scenelet.data.tau`.
    - A CSV/TSV with `filename,label` and optionally `fold`, `group`, `split`, `city`, or a folder
      with exactly one. Files lie in `audio_dir`, or else beside the table or in `audio/` beside it.
    - A folder per class: `class/clip.wav`, or `class/group/clip.wav`.

    A clip without a group is its own group. `made` is True when the table has a column `source`
    whose every value begins with "synthetic".

    Args:
        data: a folder or a table.
        audio_dir: where the files of a table or TAU root lie.
        tau_3_class: map the ten TAU scenes to indoor, outdoor, transportation.
        require_audio: refuse tables whose files do not exist.

    Raises:
        DataError: not recognized, files that do not exist, or a table with a flaw.
        UsageError: an option that does not go with this data.
    """
    if not os.path.exists(data):
        raise DataError(f"{data}: no such file or folder; {HELP}")
    if audio_dir is not None and not audio_dir.is_dir():
        raise UsageError(f"--audio-dir {audio_dir}: no such folder")
    if data.is_dir() and is_tau_root(data):
        table = load_tau(data, audio_dir, tau_3_class, require_audio)
    elif tau_3_class:
        raise UsageError(f"--tau-3-class maps the scenes of a TAU root, and {data} is not one")
    elif data.is_file():
        table = _load_csv(data, audio_dir, require_audio)
    elif (csv_path := _only_csv(data)) is not None:
        table = _load_csv(csv_path, audio_dir, require_audio)
    elif audio_dir is not None:
        raise UsageError(f"--audio-dir goes with a CSV, and {data} was recognized as a folder per class")
    else:
        table = _load_tree(data)
    if len(table.labels) < 2:
        raise DataError(f"{data}: every clip has the label {table.labels[0]!r}; a classifier needs two classes or more")
    return replace(table, path=data, audio_dir=audio_dir, tau_3_class=tau_3_class)


def _only_csv(folder: Path) -> Path | None:
    """The one table with the required columns that lies in a folder; None when there is none."""
    found = [path for path in _tables(folder) if set(REQUIRED) <= set(read_columns(path))]
    if len(found) > 1:
        names = first_few(path.name for path in found)
        raise DataError(f"{folder}: holds {len(found)} tables of clips ({names}); give the path of the one to use")
    return found[0] if found else None


def _tables(folder: Path) -> list[Path]:
    return [p for p in _visible(folder) if p.is_file() and p.suffix.lower() in TABLE_EXTENSIONS]


def _load_csv(path: Path, audio_dir: Path | None, require_audio: bool) -> ClipTable:
    if path.suffix.lower() in EXTENSIONS:
        raise DataError(f"{path}: is one recording; {HELP}")
    rows = read_rows(path, REQUIRED)
    names = [_name(path, row) for row in rows]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: {first_few(twice)}: listed more than once; keep one row each")
    places = [path.parent, path.parent / "audio"] if audio_dir is None else [audio_dir]
    root, missing = min(((place, _missing(place, names)) for place in places), key=lambda found: len(found[1]))
    if missing and require_audio:
        looked = " and ".join(map(str, places))
        raise DataError(
            f"{path}: {len(missing):,} of {len(names):,} files do not exist ({first_few(missing)});"
            f" looked in {looked}; give --audio-dir, or delete their rows"
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


def _name(path: Path, row: CsvRow) -> str:
    filename = row.values["filename"]
    if not filename:
        raise DataError(f"{path}, line {row.line}: the filename is empty; fill it in or delete the row")
    return str(PurePosixPath(filename.replace("\\", "/")))


def _missing(place: Path, names: list[str]) -> list[str]:
    return [name for name in names if not os.path.isfile(place / name)]


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


def _load_tree(root: Path) -> ClipTable:
    recordings = [path.relative_to(root) for path in _recordings(root)]
    if not recordings:
        tables = [f"{path.name} has the columns {', '.join(read_columns(path)) or 'none'}" for path in _tables(root)]
        found = f" ({first_few(tables)})" if tables else ""
        raise DataError(f"{root}: holds no recordings and no table of clips{found}; {HELP}")
    loose = [str(path) for path in recordings if len(path.parts) == 1]
    if loose:
        raise DataError(
            f"{root}: {len(loose)} recordings lie in no class folder ({first_few(loose)});"
            " move each into the folder of its class"
        )
    labels = {path.parts[0] for path in recordings}
    if all(label.lower() in SPLIT_FOLDERS for label in labels):
        raise DataError(
            f"{root}: its folders {', '.join(sorted(labels))} are sides of a split, not classes;"
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


def _recordings(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """What has a recording's name below a folder; what is hidden is passed over, and links that lead back up."""
    status = folder.stat()
    own = status.st_dev, status.st_ino
    if own in above:
        print_message(f"{escape_unprintable(str(folder))}: a link to a folder that it lies in, passed over")
        return
    for path in _visible(folder):
        if os.path.isdir(path):
            yield from _recordings(path, (*above, own))
        elif path.suffix.lower() in EXTENSIONS:
            yield path


def _visible(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read ({error.strerror})") from None
