"""Wheels of scenelet: what else has their name is refused."""

from pathlib import Path

import pytest

from helpers.wheels import write_wheel
from scenelet.evaluation.submission.package.wheel import wheel_fault

NAME = "scenelet-1.2-py3-none-any.whl"


@pytest.mark.parametrize("name", [NAME, "scenelet-1.2-1-py3-none-any.whl"])
def test_wheel_has_no_fault(tmp_path: Path, name: str) -> None:
    assert wheel_fault(name, write_wheel(tmp_path / name).read_bytes()) is None


@pytest.mark.parametrize(
    ("files", "lacking"),
    [
        (("scenelet/__init__.py",), "scenelet-1.2.dist-info/METADATA"),
        (("scenelet/__init__.py", "scenelet-1.3.dist-info/METADATA"), "scenelet-1.2.dist-info/METADATA"),
        (("scenelet-1.2.dist-info/METADATA",), "scenelet/__init__.py"),
    ],
)
def test_archive_that_lacks_a_file(tmp_path: Path, files: tuple[str, ...], lacking: str) -> None:
    data = write_wheel(tmp_path / NAME, files).read_bytes()
    assert wheel_fault(NAME, data) == f"is not a wheel of scenelet 1.2: it lacks {lacking}"


def test_truncated_wheel(tmp_path: Path) -> None:
    assert wheel_fault(NAME, write_wheel(tmp_path / NAME).read_bytes()[:-30]) == "is not a wheel"


@pytest.mark.parametrize("name", ["a.whl", "scenelet-1.2.whl", "scenelet_foo-1.2-py3-none-any.whl"])
def test_other_names(name: str) -> None:
    assert (wheel_fault(name, b"") or "").startswith("is not named as a wheel of scenelet")
