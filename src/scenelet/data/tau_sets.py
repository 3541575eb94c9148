"""Facts of the TAU Urban Acoustic Scenes development sets, and the names of their recordings."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

LICENSE = (
    "Copyright Tampere University and its licensors. Free for experimental and non-commercial use with"
    " acknowledgement of the source; any commercial use, results and services included, is prohibited."
)

SCENES = (
    ("airport", "indoor", 911, 421, 1393, 296),
    ("bus", "transportation", 928, 415, 1400, 297),
    ("metro", "transportation", 902, 433, 1382, 297),
    ("metro_station", "indoor", 897, 435, 1380, 297),
    ("park", "outdoor", 946, 386, 1429, 297),
    ("public_square", "outdoor", 945, 387, 1427, 297),
    ("shopping_mall", "indoor", 896, 441, 1373, 297),
    ("street_pedestrian", "outdoor", 924, 429, 1386, 297),
    ("street_traffic", "outdoor", 942, 402, 1413, 297),
    ("tram", "transportation", 894, 436, 1379, 296),
)
"""Each scene with its class in DCASE 2020 Task 1B, its numbers of training and test segments in 2019, and those in
2020 Mobile."""
THREE_CLASSES = {scene: label for scene, label, *_ in SCENES}
SLICES = 10
"""Number of 1 s recordings that the 2022 Mobile set makes of one 10 s segment, numbered from 0."""
MAIN_DEVICE = "a"
"""Device that recorded every segment. The others recorded a part of the segments, or are simulated from it."""
DEVICE_SEGMENTS = {MAIN_DEVICE: 14_400, "b": 1078, "c": 1077, **{f"s{number}": 1080 for number in range(1, 7)}}
"""Number of segments of each device in the development sets 2020 Mobile and 2022 Mobile."""
NAME = re.compile(r"(?:.*/)?([a-z_]+)-([a-z]+)-(\d+)-(\d+)(?:-(\d))?-([a-z]\d*)(?:\.\w+)?")
NAME_FORM = "scene-city-location-segment-device.wav, or with -slice (0 to 9) before the device"

_PAPER_2020 = (
    "T. Heittola, A. Mesaros, T. Virtanen: Acoustic scene classification in DCASE 2020 Challenge:"
    " generalization across devices and low complexity solutions. DCASE 2020 Workshop."
)


@dataclass(frozen=True)
class TauSet:
    """Facts of one published set.

    Attributes:
        name: name of its folder.
        doi: DOI of its Zenodo record.
        edition: short name.
        train, test: number of recordings per class in the official split (fold 1); empty if they are not recorded here.
        devices: number of recordings per device; empty if the set has one device, or they are not recorded here.
        has_slices: its recordings are slices of 1 s.
        citation: the paper to cite.

    >>> sum(TAU_2019.train.values()), sum(TAU_2019.test.values())
    (9185, 4185)
    >>> sum(TAU_2022_MOBILE.devices.values())
    230350
    """

    name: str
    doi: str
    edition: str
    train: dict[str, int] = field(default_factory=dict)
    test: dict[str, int] = field(default_factory=dict)
    devices: dict[str, int] = field(default_factory=dict)
    has_slices: bool = False
    citation: str = ""


TAU_2020_3CLASS = TauSet(
    name="TAU-urban-acoustic-scenes-2020-3class-development",
    doi="10.5281/zenodo.3670185",
    edition="2020 3class",
    train={"indoor": 2704, "outdoor": 3757, "transportation": 2724},
    test={"indoor": 1297, "outdoor": 1604, "transportation": 1284},
    citation=_PAPER_2020,
)

TAU_2019 = TauSet(
    name="TAU-urban-acoustic-scenes-2019-development",
    doi="10.5281/zenodo.2589280",
    edition="2019",
    train={scene: train for scene, _, train, *_ in SCENES},
    test={scene: test for scene, _, _, test, *_ in SCENES},
    citation=(
        "A. Mesaros, T. Heittola, T. Virtanen: A multi-device dataset for urban acoustic scene classification."
        " DCASE 2018 Workshop."
    ),
)

TAU_2020_MOBILE = TauSet(
    name="TAU-urban-acoustic-scenes-2020-mobile-development",
    doi="10.5281/zenodo.3819968",
    edition="2020 Mobile",
    train={scene: train for scene, *_, train, _ in SCENES},
    test={scene: test for scene, *_, test in SCENES},
    devices=DEVICE_SEGMENTS,
    citation=_PAPER_2020,
)

TAU_2022_MOBILE = TauSet(
    name="TAU-urban-acoustic-scenes-2022-mobile-development",
    doi="10.5281/zenodo.6337421",
    edition="2022 Mobile",
    train={scene: SLICES * train for scene, *_, train, _ in SCENES},
    test={scene: SLICES * test for scene, *_, test in SCENES},
    devices={device: SLICES * segments for device, segments in DEVICE_SEGMENTS.items()},
    has_slices=True,
    citation=_PAPER_2020,
)

UNKNOWN_MOBILE = TauSet("the mobile set", "", "Mobile")
"""A set of several devices that is none of those above, for example an older one or a part."""


class TauName(NamedTuple):
    """Parts of a recording's name.

    Attributes:
        scene, city, location, segment, device: as the name gives them.
        slice: "0" to "9" in the 2022 Mobile set, otherwise None.
    """

    scene: str
    city: str
    location: str
    segment: str
    slice: str | None
    device: str

    @property
    def group(self) -> str:
        """Location of the recording. All segments, slices and devices of one place share it."""
        return f"{self.city}-{self.location}"

    @property
    def segment_name(self) -> str:
        """Name of the 10 s segment, the same for all its devices and slices."""
        return f"{self.scene}-{self.group}-{self.segment}"


def parse_name(name: str) -> TauName | None:
    """Split the name of a recording, with or without folder and extension. Return None if it is not one of TAU's.

    >>> parse_name("audio/airport-lisbon-1000-40000-3-s1.wav").segment_name
    'airport-lisbon-1000-40000'
    """
    found = NAME.fullmatch(name)
    return TauName(*found.groups()) if found and found[1] in THREE_CLASSES else None


def recognize(folder: str, labels: Iterable[str], names: Iterable[TauName]) -> TauSet:
    """Return the published set, by the name of its folder, its classes, the form of its names and its devices.

    >>> recognize("tau", ["park"], [parse_name("park-london-96-2689-s4")]).edition
    '2020 Mobile'
    """
    if set(labels) <= set(TAU_2020_3CLASS.train):
        return TAU_2020_3CLASS
    devices, has_slices = set(), True
    for name in names:
        devices.add(name.device)
        has_slices &= name.slice is not None
    if has_slices:
        return TAU_2022_MOBILE
    for facts in (TAU_2019, TAU_2020_MOBILE):
        if facts.name == folder:
            return facts
    if devices == {MAIN_DEVICE}:
        return TAU_2019
    # no other set without slices has simulated devices
    return TAU_2020_MOBILE if any(device.startswith("s") for device in devices) else UNKNOWN_MOBILE
