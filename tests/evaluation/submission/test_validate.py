"""Validation of a pair of files: names, labels, and arbitrary contents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.example_submission import LABEL, META, OUTPUT, VALID_META, valid_output
from scenelet.errors import DataError, escape_unprintable
from scenelet.evaluation.submission.form import meta_text
from scenelet.evaluation.submission.validate import check_files, check_pair


def test_check_pair_of_a_valid_submission_has_no_fault() -> None:
    assert check_pair(OUTPUT, valid_output().encode(), META, meta_text(VALID_META).encode()) == []
    with_crlf = valid_output().replace("\n", "\r\n")
    assert check_pair(OUTPUT, with_crlf.encode(), META, meta_text(VALID_META).encode()) == []


@pytest.mark.parametrize(
    ("output", "meta", "where"),
    [
        (f"{LABEL}.csv", META, f"{LABEL}.csv"),
        ("Chang_QTI_task1a_1.output.csv", META, "Chang_QTI_task1a_1.output.csv"),
        ("Chang_QTI_task1b_5.output.csv", META, "Chang_QTI_task1b_5.output.csv"),
        (OUTPUT, f"{LABEL}.meta.yml", f"{LABEL}.meta.yml"),
        ("Chang_QTI_task1b_2.output.csv", META, META),
    ],
)
def test_check_pair_names_the_fault_of_a_file_name(output: str, meta: str, where: str) -> None:
    (fault,) = check_pair(output, valid_output().encode(), meta, meta_text(VALID_META).encode())
    assert (fault.file, fault.where) == (where, "")
    assert "its name must" in fault.message


def test_check_pair_compares_the_label_with_the_file_name() -> None:
    output, meta = OUTPUT.replace("_1.", "_2."), META.replace("_1.", "_2.")
    (fault,) = check_pair(output, valid_output().encode(), meta, meta_text(VALID_META).encode())
    assert str(fault) == f"{meta}, submission.label: is '{LABEL}'; it must be Chang_QTI_task1b_2, as in the file's name"


def test_check_files_reads_both_files(tmp_path: Path) -> None:
    output, meta = tmp_path / OUTPUT, tmp_path / META
    output.write_text(valid_output())
    with pytest.raises(DataError, match="cannot be read"):
        check_files(output, meta)
    meta.write_text(meta_text(VALID_META))
    assert check_files(output, meta) == []
    output.write_text("".join(valid_output().splitlines(keepends=True)[:4]))
    assert check_files(output, meta, partial=True) == []
    assert [fault.where for fault in check_files(output, meta)] == ["", ""]


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=30))
def test_check_pair_of_arbitrary_bytes_gives_faults(output: bytes, meta: bytes, name: str) -> None:
    faults = check_pair(name, output, name, meta, partial=True)
    assert {fault.file for fault in faults} <= {escape_unprintable(name)}
    assert len(faults) >= 4  # both names and both contents
    assert all(str(fault) == escape_unprintable(str(fault)) for fault in faults)
