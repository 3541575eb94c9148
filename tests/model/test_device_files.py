"""Names of the model files of recording devices."""

from pathlib import Path

import pytest

from scenelet.errors import DataError, ModelFileError, UsageError
from scenelet.model.device_files import check_device, check_devices, device_files, is_device_folder
from scenelet.model.file import read_model


@pytest.mark.parametrize("device", ["a", "s1", "iPhone-6_b.2", "0"])
def test_check_device_of_a_file_name_returns_it(device: str) -> None:
    assert check_device(device) == device


@pytest.mark.parametrize(
    "device", ["", ".", "..", "../s1", "a/b", "a\\b", "a b", "-a", ".a", "a.", "é", "a\n", "x" * 101]
)
def test_check_device_that_is_no_file_name_raises(device: str) -> None:
    with pytest.raises(UsageError, match="cannot name a file; use at most 100 letters"):
        check_device(device)


@pytest.mark.parametrize("device", ["general", "General", "unknown"])
def test_check_device_of_a_reserved_name_raises(device: str) -> None:
    with pytest.raises(UsageError, match="means the model of all devices"):
        check_device(device)


def test_check_devices_names_the_source_and_equal_files() -> None:
    check_devices(["a", "b", "a"], "meta.csv")
    with pytest.raises(DataError, match=r"meta\.csv: device 'a b' cannot name a file"):
        check_devices(["a b"], "meta.csv")
    with pytest.raises(DataError, match=r"meta\.csv: devices 's1' and 'S1' differ only in case; rename one"):
        check_devices(["s1", "S1"], "meta.csv")


def test_device_files_lists_the_general_one_first(tmp_path: Path) -> None:
    for name in ("s1.scn", "a.scn", "general.scn", "._a.scn", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in device_files(tmp_path).values()] == ["general.scn", "a.scn", "s1.scn"]
    assert is_device_folder(tmp_path)


def test_device_files_without_a_general_one_raises(tmp_path: Path) -> None:
    (tmp_path / "._a.scn").touch()
    assert not is_device_folder(tmp_path)
    (tmp_path / "s1.scn").touch()
    assert is_device_folder(tmp_path)
    with pytest.raises(ModelFileError, match=r"holds no general\.scn, which answers for devices without a model"):
        device_files(tmp_path)


def test_device_files_with_another_name_raises(tmp_path: Path) -> None:
    for name in ("general.scn", "unknown.scn"):
        (tmp_path / name).touch()
    with pytest.raises(ModelFileError, match=r"device 'unknown'.*or move its \.scn file to another folder"):
        device_files(tmp_path)


def test_read_model_of_a_device_folder_names_its_files(tmp_path: Path) -> None:
    (tmp_path / "general.scn").touch()
    with pytest.raises(ModelFileError, match=r"takes one model file; give .*general\.scn, or the file of the device"):
        read_model(tmp_path)
