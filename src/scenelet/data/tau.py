"""Loader of TAU Urban Acoustic Scenes development sets in the official layout.

A root folder holds `meta.csv` (filename, scene_label, identifier, source_label; tab-separated),
`evaluation_setup/fold1_{train,test,evaluate}.csv`, and
`audio/[scene]-[city]-[location]-[segment]-[device].wav` of 10 s. The 2022 Mobile set has
`audio/[scene]-[city]-[location]-[segment]-[slice]-[device].wav` of 1 s. The sets 2019 and 2020 3class are stereo and of
one device; the mobile sets are mono and of several. `scenelet.data.tau_sets` has the facts of each set, and
`scenelet.data.tau_splits` reads the splits.
"""

import os
from pathlib import Path

from scenelet.data.clips import Clip, ClipTable
from scenelet.data.delimited import read_rows
from scenelet.data.tau_sets import LICENSE, NAME_FORM, TAU_2020_3CLASS, THREE_CLASSES, TauName, parse_name, recognize
from scenelet.data.tau_splits import Place, official_split, read_split
from scenelet.errors import DataError, MissingAudioError
from scenelet.utils.text import first_few

OTHER_DATA = "use a CSV with filename,label for other recordings"
UNUSED = Place(None)
"""Place of a recording in no split."""


def is_tau_root(folder: Path) -> bool:
    """Return whether a folder has the official layout."""
    return (folder / "meta.csv").is_file() and (folder / "evaluation_setup").is_dir()


def load_tau(
    root: Path,
    audio_dir: Path | None = None,
    tau_3_class: bool = False,
    require_audio: bool = True,
    training_lists: bool = True,
) -> ClipTable:
    """Read a root in the official layout; fold "1" is its split.

    That is the official split, or that of the training lists of DCASE 2024 if the root has them. The lists are used
    unchanged. Segments in no split have `split=None`. `meta.csv` may list only a part of the set, e.g. the downloaded
    part. All devices and slices of a segment are in one group, that of its location.

    Args:
        root: the folder with `meta.csv`.
        audio_dir: the `audio` folder, or the folder that contains it; None: `root`.
        tau_3_class: map the ten scenes to indoor, outdoor, transportation.
        require_audio: refuse a set whose recordings are missing.
        training_lists: read the training lists of DCASE 2024 if the root has them.

    Raises:
        DataError: recordings are missing, or the tables do not have the official layout.
    """
    meta = root / "meta.csv"
    labels, names = _read_meta(meta)
    facts = recognize(root.absolute().name, labels.values(), names.values())
    places = read_split(root, labels) if training_lists else official_split(root)
    folder = root if audio_dir is None else audio_dir / "audio" if (audio_dir / "audio").is_dir() else audio_dir
    clips = []
    for name in sorted(labels):
        parts, place = names[name], places.get(name, UNUSED)
        clips.append(
            Clip(
                path=folder / (name if audio_dir is None else Path(name).name),
                name=name,
                label=THREE_CLASSES.get(labels[name], labels[name]) if tau_3_class else labels[name],
                group=parts.group,
                fold="1",
                split=place.split,
                city=parts.city,
                device=parts.device,
                percent=place.percent,
            )
        )
    missing = tuple(clip.name for clip in clips if require_audio and not os.path.isfile(clip.path))
    if missing:
        zenodo = f", from Zenodo (doi {facts.doi})" if facts.doi else ""
        raise MissingAudioError(
            f"{folder}: {len(missing):,} of the {len(clips):,} recordings in meta.csv are missing"
            f" ({first_few(missing)}); unpack the audio archives of {facts.name} here{zenodo},"
            " or remove the missing recordings from meta.csv",
            missing,
        )
    mapped = " mapped to 3 classes" if tau_3_class and facts is not TAU_2020_3CLASS else ""
    return ClipTable(root, f"TAU root {root.name} ({facts.edition}{mapped})", tuple(clips), license=LICENSE)


def _read_meta(meta: Path) -> tuple[dict[str, str], dict[str, TauName]]:
    """Return `scene_label` and the parts of the name of each recording, by its name."""
    labels: dict[str, str] = {}
    names: dict[str, TauName] = {}
    for line, values in read_rows(meta, ("filename", "scene_label", "identifier")):
        name, label = values["filename"], values["scene_label"]
        if (parts := parse_name(name)) is None:
            raise DataError(f"{meta}, line {line}: {name!r} is not named {NAME_FORM}; {OTHER_DATA}")
        if label not in THREE_CLASSES and label not in THREE_CLASSES.values():
            raise DataError(f"{meta}, line {line}: scene_label {label!r} is not one of TAU's; {OTHER_DATA}")
        if name in labels:
            raise DataError(f"{meta}, line {line}: {name} is listed twice; delete one row")
        scene = parts.scene if label in THREE_CLASSES else THREE_CLASSES[parts.scene]
        for column, value in (("scene_label", scene), ("identifier", parts.group), ("source_label", parts.device)):
            if values.get(column, value) != value:
                found = f"{column} {values[column]!r} does not fit the name {name}, which says {value!r}"
                raise DataError(f"{meta}, line {line}: {found}; correct one of the two")
        labels[name], names[name] = label, parts
    if len({label in THREE_CLASSES for label in labels.values()}) > 1:
        raise DataError(f"{meta}: some scene_labels are of ten classes and some of three; use one of the two")
    return labels, names
