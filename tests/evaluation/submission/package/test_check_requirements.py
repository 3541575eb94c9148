"""Requirements of a package: each line that installs something else is named."""

from pathlib import Path

import pytest

from helpers.wheels import write_wheel
from scenelet.evaluation.submission.package.check_requirements import check_requirements

WHEEL = "scenelet-0.1.0-py3-none-any.whl"
NO_TRAIN = "requirements.txt, line 1: must name scenelet[train], since the package needs PyTorch"
NO_SCENELET = "requirements.txt: must name scenelet[train], which the package imports"


def faults(folder: Path, first: str) -> list[str]:
    (folder / "requirements.txt").write_text(f"{first}\ntorchinfo==1.8.0\n")
    return [str(fault) for fault in check_requirements(folder)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("scenelet[train]==0.1.0", []),
        ("Scenelet [mic, train] >= 0.1  # from the index", []),
        ("# a comment\n\nscenelet[train]", []),
        (f"./wheels/{WHEEL}[train]", []),
        ("scenelet==0.1.0", [NO_TRAIN]),
        ("scenelet[mic]==0.1.0", [NO_TRAIN]),
        (f"./wheels/{WHEEL}[mic]", [NO_TRAIN]),
        ("scenelet-foo==9", [NO_SCENELET]),
        ("scenelet-foo[train]==9", [NO_SCENELET]),
        ("sceneletfoo[train]", [NO_SCENELET]),
        ("# scenelet[train]", [NO_SCENELET]),
        (
            f"./wheels/{WHEEL}",
            [
                f"requirements.txt, line 1: is ./wheels/{WHEEL}; it must be a wheel's path and [train], as"
                " ./wheels/NAME.whl[train]"
            ],
        ),
        ("./wheels/a.whl[train]", ["requirements.txt, line 1: names ./wheels/a.whl, which is missing"]),
        (
            f"./../{WHEEL}[train]",
            [f"requirements.txt, line 1: names ./../{WHEEL}, which is outside of the package; put it into wheels/"],
        ),
        (
            "scenelet[train]\n-r more.txt",
            ["requirements.txt, line 2: is not a requirement: -r more.txt; delete it, or write NAME==VERSION"],
        ),
    ],
)
def test_faults_of_a_line(tmp_path: Path, line: str, expected: list[str]) -> None:
    write_wheel(tmp_path / "wheels" / WHEEL)
    assert faults(tmp_path, line) == expected


def test_wheel_without_scenelet(tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels" / WHEEL, files=("other/__init__.py",))
    (found,) = faults(tmp_path, f"./wheels/{WHEEL}[train]")
    assert "is not a wheel of scenelet 0.1.0: it lacks scenelet-0.1.0.dist-info/METADATA; give one that" in found


def test_requirements_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"scenelet[train]\n\xff\n")
    assert [str(fault) for fault in check_requirements(tmp_path)] == [
        "requirements.txt, line 2: is not UTF-8; it must be UTF-8 text"
    ]
