"""Facts of the TAU sets, and the names of their recordings."""

import pytest

from scenelet.data.tau_sets import (
    TAU_2019,
    TAU_2020_3CLASS,
    TAU_2020_MOBILE,
    TAU_2022_MOBILE,
    THREE_CLASSES,
    UNKNOWN_MOBILE,
    TauName,
    TauSet,
    parse_name,
    recognize,
)


@pytest.mark.parametrize(("facts", "total"), [(TAU_2020_MOBILE, 23_035), (TAU_2022_MOBILE, 230_350)])
def test_facts_of_the_mobile_sets_add_up(facts: TauSet, total: int) -> None:
    assert sum(facts.devices.values()) == total
    factor = total // 23_035
    assert (sum(facts.train.values()), sum(facts.test.values())) == (13_962 * factor, 2_968 * factor)


def test_parse_name_of_both_forms() -> None:
    assert parse_name("bus-lyon-1001-40001-a") == TauName("bus", "lyon", "1001", "40001", None, "a")
    name = parse_name("metro_station-lyon-1001-40001-9-s6")
    assert name == TauName("metro_station", "lyon", "1001", "40001", "9", "s6")
    assert (name.group, name.segment_name) == ("lyon-1001", "metro_station-lyon-1001-40001")


@pytest.mark.parametrize(
    "stem", ["", "bus", "bus-lyon-1001-a", "bus-lyon-x-1-a", "cafe-lyon-1-1-a", "bus-lyon-1-1-10-a", "bus-lyon-1-1-1-"]
)
def test_parse_name_of_other_names_is_none(stem: str) -> None:
    assert parse_name(stem) is None


@pytest.mark.parametrize(
    ("folder", "label", "stems", "facts"),
    [
        ("x", "indoor", ["airport-lyon-1-1-a"], TAU_2020_3CLASS),
        ("x", "airport", ["airport-lyon-1-1-a"], TAU_2019),
        ("x", "airport", ["airport-lyon-1-1-b"], UNKNOWN_MOBILE),
        ("x", "airport", ["airport-lyon-1-1-s1", "airport-lyon-1-1-a"], TAU_2020_MOBILE),
        (TAU_2020_MOBILE.name, "airport", ["airport-lyon-1-1-a"], TAU_2020_MOBILE),
        ("x", "airport", ["airport-lyon-1-1-0-a"], TAU_2022_MOBILE),
    ],
)
def test_recognize_by_folder_classes_names_devices(folder: str, label: str, stems: list[str], facts: TauSet) -> None:
    names = [name for stem in stems if (name := parse_name(stem)) is not None]
    assert recognize(folder, [label], names) is facts


def test_facts_of_2019_and_3_classes_agree() -> None:
    for split in ("train", "test"):
        ten, three = getattr(TAU_2019, split), getattr(TAU_2020_3CLASS, split)
        mapped = dict.fromkeys(three, 0)
        for scene, count in ten.items():
            mapped[THREE_CLASSES[scene]] += count
        assert mapped == three
    assert (sum(TAU_2019.train.values()), sum(TAU_2019.test.values())) == (9185, 4185)
