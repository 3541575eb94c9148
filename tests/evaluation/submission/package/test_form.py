"""Form of an inference package: labels, devices, and the list of test clips."""

import pytest

from scenelet.evaluation.submission.package.form import DEVICE, LABEL, SCENES, list_fault


@pytest.mark.parametrize(
    ("label", "is_valid"),
    [
        ("Lee_Inst_task1", True),
        ("Lee2_INST3_task1", True),
        ("Lee_Inst_task1_1", False),
        ("Lee_Inst_task1a", False),
        ("Lee_task1", False),
        ("2Lee_Inst_task1", False),
        ("Van-Lee_Inst_task1", False),  # no name of a Python package
        ("Léé_Inst_task1", False),
    ],
)
def test_label_names_a_python_package(label: str, is_valid: bool) -> None:
    assert (LABEL.fullmatch(label) is not None) == is_valid
    assert not is_valid or label.isidentifier()


def test_devices_are_those_of_the_challenge() -> None:
    names = ["a", "b", "c", *(f"s{number}" for number in range(1, 11))]
    assert all(map(DEVICE.fullmatch, names))
    assert not any(map(DEVICE.fullmatch, ["d", "s0", "s11", "unknown", "general", "A", ""]))


def test_scenes_are_in_the_challenges_order() -> None:
    assert len(SCENES) == 10
    assert list(SCENES) == sorted(SCENES)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("filename\tscene_label\na.wav\tbus\nb.wav\tbus\n", None),
        ("filename\na.wav\n\n", None),
        ("\ufefffilename\r\na.wav\r\n", None),
        ("", "is empty"),
        ("filename,scene_label\na.wav,bus\n", "has no tab-separated column `filename`"),
        ("filename\tscene_label\n", "lists no clips"),
        ("filename\tscene_label\na.wav\tbus\na.wav\n", "has a row without a filename"),
        ("filename\na.wav\nb.wav\na.wav\n", "lists a.wav twice"),
    ],
)
def test_list_fault_names_the_first_fault(text: str, fault: str | None) -> None:
    found = list_fault(text.encode())
    assert found is None if fault is None else found is not None and found.startswith(fault)


def test_list_fault_of_other_bytes() -> None:
    assert list_fault(b"\xff\xfe") == "is not UTF-8 text"
