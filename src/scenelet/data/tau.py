"""TAU Urban Acoustic Scenes development sets: facts, and a loader for the official layout.

A root folder holds `meta.csv` (filename, scene_label, identifier, source_label; tab-separated),
`evaluation_setup/fold1_{train,test,evaluate}.csv`, and
`audio/[scene]-[city]-[location]-[segment]-[device].wav` of 10 s. The 2022 Mobile set has
`audio/[scene]-[city]-[location]-[segment]-[slice]-[device].wav` of 1 s. The sets 2019 and 2020 3class are stereo and of
one device; the mobile sets are mono and of several.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenelet.data.clips import Clip, ClipTable
from scenelet.data.delimited import read_rows
from scenelet.errors import DataError, MissingAudioError
from scenelet.utils.text import first_few

LICENSE = (
    "Copyright Tampere University and its licensors. Free for experimental and non-commercial use with"
    " acknowledgement of the source; any commercial use, results and services included, is prohibited."
)

SCENES = (
    ("airport", "indoor", 911, 421),
    ("bus", "transportation", 928, 415),
    ("metro", "transportation", 902, 433),
    ("metro_station", "indoor", 897, 435),
    ("park", "outdoor", 946, 386),
    ("public_square", "outdoor", 945, 387),
    ("shopping_mall", "indoor", 896, 441),
    ("street_pedestrian", "outdoor", 924, 429),
    ("street_traffic", "outdoor", 942, 402),
    ("tram", "transportation", 894, 436),
)
"""Each scene with its class in DCASE 2020 Task 1B, and its numbers of training and test segments in 2019."""
THREE_CLASSES = {scene: label for scene, label, *_ in SCENES}


@dataclass(frozen=True)
class TauSet:
    """Facts of one published set.

    Attributes:
        name: name of its folder.
        doi: DOI of its Zenodo record.
        edition: short name.
        train, test: number of segments per class in the official split (fold 1); empty if they are not recorded here.
        citation: the paper to cite.

    >>> sum(TAU_2019.train.values()), sum(TAU_2019.test.values())
    (9185, 4185)
    """

    name: str
    doi: str
    edition: str
    train: dict[str, int] = field(default_factory=dict)
    test: dict[str, int] = field(default_factory=dict)
    citation: str = ""


TAU_2020_3CLASS = TauSet(
    name="TAU-urban-acoustic-scenes-2020-3class-development",
    doi="10.5281/zenodo.3670185",
    edition="2020 3class",
    train={"indoor": 2704, "outdoor": 3757, "transportation": 2724},
    test={"indoor": 1297, "outdoor": 1604, "transportation": 1284},
    citation=(
        "T. Heittola, A. Mesaros, T. Virtanen: Acoustic scene classification in DCASE 2020 Challenge:"
        " generalization across devices and low complexity solutions. DCASE 2020 Workshop."
    ),
)

TAU_2019 = TauSet(
    name="TAU-urban-acoustic-scenes-2019-development",
    doi="10.5281/zenodo.2589280",
    edition="2019",
    train={scene: train for scene, _, train, _ in SCENES},
    test={scene: test for scene, *_, test in SCENES},
    citation=(
        "A. Mesaros, T. Heittola, T. Virtanen: A multi-device dataset for urban acoustic scene classification."
        " DCASE 2018 Workshop."
    ),
)

TAU_2020_MOBILE = TauSet("TAU-urban-acoustic-scenes-2020-mobile-development", "10.5281/zenodo.3819968", "2020 Mobile")
TAU_2022_MOBILE = TauSet("TAU-urban-acoustic-scenes-2022-mobile-development", "10.5281/zenodo.6337421", "2022 Mobile")
UNKNOWN_MOBILE = TauSet("the mobile set", "", "Mobile")
"""A set of several devices that is none of those above, for example an older one or a part."""
OTHER_DATA = "use a CSV with filename,label for other recordings"


def is_tau_root(folder: Path) -> bool:
    """Return whether a folder has the official layout."""
    return (folder / "meta.csv").is_file() and (folder / "evaluation_setup").is_dir()


def load_tau(
    root: Path, audio_dir: Path | None = None, tau_3_class: bool = False, require_audio: bool = True
) -> ClipTable:
    """Read a root in the official layout; fold "1" is the official split.

    Segments in no split have `split=None`. `meta.csv` may list only a part of the set, e.g. the downloaded part. All
    devices and slices of a segment are in one group, that of its location.

    Args:
        root: the folder with `meta.csv`.
        audio_dir: the `audio` folder, or the folder that contains it; None: `root`.
        tau_3_class: map the ten scenes to indoor, outdoor, transportation.
        require_audio: refuse a set whose recordings are missing.

    Raises:
        DataError: recordings are missing, or the tables do not have the official layout.
    """
    meta = root / "meta.csv"
    rows = read_rows(meta, ("filename", "scene_label", "identifier"))
    names = [Path(row.values["filename"]).stem.split("-") for row in rows]
    for row, parts in zip(rows, names, strict=True):
        if len(parts) not in (5, 6):
            fault = f"{row.values['filename']!r} is not named scene-city-location-segment-device.wav"
            raise DataError(f"{meta}, line {row.line}: {fault}; {OTHER_DATA}")
    facts = _recognize(meta, {row.values["scene_label"] for row in rows}, names)
    splits = _official_split(root)
    folder = root if audio_dir is None else audio_dir / "audio" if (audio_dir / "audio").is_dir() else audio_dir
    clips: dict[str, Clip] = {}
    for (line, values), parts in zip(rows, names, strict=True):
        name, scene = values["filename"], values["scene_label"]
        if not values["identifier"]:
            raise DataError(f"{meta}, line {line}: the identifier is empty; it is the recording's location")
        if name in clips:
            raise DataError(f"{meta}, line {line}: {name} is listed twice; delete one row")
        path = folder / (name if audio_dir is None else Path(name).name)
        label = THREE_CLASSES.get(scene, scene) if tau_3_class else scene
        clips[name] = Clip(path, name, label, values["identifier"], "1", splits.get(name), parts[1], parts[-1])
    missing = tuple(name for name, clip in clips.items() if require_audio and not os.path.isfile(clip.path))
    if missing:
        zenodo = f", from Zenodo (doi {facts.doi})" if facts.doi else ""
        raise MissingAudioError(
            f"{folder}: {len(missing):,} of the {len(clips):,} recordings in meta.csv are missing"
            f" ({first_few(missing)}); unpack the audio archives of {facts.name} here{zenodo},"
            " or remove the missing recordings from meta.csv",
            missing,
        )
    mapped = " mapped to 3 classes" if tau_3_class and facts is not TAU_2020_3CLASS else ""
    ordered = tuple(clips[name] for name in sorted(clips))
    return ClipTable(root, f"TAU root {root.name} ({facts.edition}{mapped})", ordered, license=LICENSE)


def _recognize(meta: Path, labels: set[str], names: Sequence[Sequence[str]]) -> TauSet:
    """Return the set, by its classes, the parts of its names and its devices."""
    if labels <= set(TAU_2020_3CLASS.train):
        return TAU_2020_3CLASS
    if unknown := sorted(labels - set(TAU_2019.train)):
        raise DataError(f"{meta}: scene_label {first_few(unknown)} is not one of TAU's; {OTHER_DATA}")
    if all(len(parts) == 6 for parts in names):
        return TAU_2022_MOBILE
    for facts in (TAU_2019, TAU_2020_MOBILE):
        if facts.name == meta.absolute().parent.name:
            return facts
    devices = {parts[-1] for parts in names}
    if devices == {"a"}:
        return TAU_2019
    # no other set of five parts has simulated devices
    return TAU_2020_MOBILE if any(device.startswith("s") for device in devices) else UNKNOWN_MOBILE


def _official_split(root: Path) -> dict[str, str]:
    """Return "train" or "test" for each recording of the official split, by file name."""
    splits: dict[str, str] = {}
    for split in ("train", "test"):
        path = root / "evaluation_setup" / f"fold1_{split}.csv"
        if (older := path.with_suffix(".txt")).is_file() and not path.is_file():
            raise DataError(
                f"{older}: the lists of the TUT sets from before 2019 are not read; give {root / 'meta.csv'} itself"
                " for a split at random, or write a CSV with the columns filename, label, group and split"
            )
        if not path.is_file():
            raise DataError(f"{path}: no such file; unpack the set's meta archive into {root}")
        for line, values in read_rows(path, ("filename",)):
            name = values["filename"]
            if splits.setdefault(name, split) != split:
                raise DataError(f"{path}, line {line}: {name} is in fold1_train.csv too; delete one row")
    return splits
