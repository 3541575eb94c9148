"""Validation of the files of one system: names, labels, and arbitrary contents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.example_submission import SMALL, YEARS, label_of, readers, valid_output, valid_system
from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.validate import check_files, check_system

FIRST = SMALL[2020]
LABEL = label_of(FIRST)
OUTPUT, META = f"{LABEL}.output.csv", f"{LABEL}.meta.yaml"


@pytest.mark.parametrize("year", YEARS)
def test_check_system_of_a_valid_system_has_no_fault(year: int) -> None:
    files = valid_system(SMALL[year])
    assert check_system(readers(files), SMALL[year]) == []
    assert check_system(readers(dict(reversed(files.items()))), SMALL[year], label_of(SMALL[year])) == []


@pytest.mark.parametrize(
    ("output", "meta", "where"),
    [
        (f"{LABEL}.csv", META, f"{LABEL}.csv"),
        ("Chang_QTI_task1a_1.output.csv", META, "Chang_QTI_task1a_1.output.csv"),
        ("Chang_QTI_task1b_5.output.csv", META, "Chang_QTI_task1b_5.output.csv"),
        (OUTPUT, f"{LABEL}.meta.yml", f"{LABEL}.meta.yml"),
    ],
)
def test_check_system_names_the_fault_of_a_file_name(output: str, meta: str, where: str) -> None:
    content = list(valid_system(FIRST).values())
    first, *others = check_system(readers({output: content[0], meta: content[1]}), FIRST)
    assert (first.file, first.where) == (where, "")
    assert "its name must be <label>.output.csv or <label>.meta.yaml" in first.message
    assert all("is missing" in fault.message for fault in others)  # the file with the right name


def test_check_system_compares_labels() -> None:
    content = list(valid_system(FIRST).values())
    output, meta = OUTPUT.replace("_1.", "_2."), META.replace("_1.", "_2.")
    (fault,) = check_system(readers({output: content[0], meta: content[1]}), FIRST)
    assert str(fault) == f"{meta}, submission.label: is '{LABEL}'; it must be Chang_QTI_task1b_2, as in the file's name"
    (fault,) = check_system(readers({output: content[0], META: content[1]}), FIRST)
    assert str(fault) == f"{META}: its name must begin with Chang_QTI_task1b_2, as the others do"
    faults = check_system(readers(valid_system(FIRST)), FIRST, "Chang_QTI_task1b_3")
    assert [fault.file for fault in faults] == [OUTPUT, META]


def test_check_files_reads_all_files(tmp_path: Path) -> None:
    challenge = SMALL[2024]
    paths = []
    for name, content in valid_system(challenge).items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    assert check_files(paths, challenge) == []
    paths[0].write_text("".join(valid_output(challenge).splitlines(keepends=True)[:4]))
    assert check_files(paths, challenge, partial=True) == []
    assert [fault.where for fault in check_files(paths, challenge)] == ["", ""]
    with pytest.raises(DataError, match="cannot be read"):
        check_files([*paths, tmp_path / "absent.csv"], challenge)


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=30))
def test_check_system_of_arbitrary_bytes_gives_faults(output: bytes, meta: bytes, name: str) -> None:
    files = [(f"{name}.csv", lambda: output), (f"{name}.yaml", lambda: meta)]
    faults = check_system(files, FIRST, partial=True)
    assert len(faults) >= 4  # both names and both contents
    assert all(str(fault) == escape_unprintable(str(fault)) for fault in faults)
