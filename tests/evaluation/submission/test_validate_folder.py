"""Validation of a whole submission, as a folder and as a zip."""

import zipfile
from pathlib import Path

import pytest

from helpers.example_submission import SMALL, YEARS, label_of, valid_system
from scenelet.errors import DataError, UsageError
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.validate_folder import MAX_FILES, check_paths, check_submission

CHALLENGE = SMALL[2022]
LABEL = label_of(CHALLENGE)
SYSTEM = f"task1/{LABEL}"


def tree(challenge: Challenge = CHALLENGE, systems: int = 2) -> dict[str, bytes]:
    """The files of a valid submission, as in the zip."""
    top = "Chang/" if challenge.nested_zip else ""
    files = {f"{top}task1/Chang_QTI_task1.technical_report.pdf": b"%PDF"}
    for number in range(1, systems + 1):
        folder = f"{top}task1/{label_of(challenge, number)}"
        files |= {f"{folder}/{name}": content for name, content in valid_system(challenge, number).items()}
    return files


def written(root: Path, files: dict[str, bytes]) -> Path:
    """Write the files into a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """Write the files into a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folders/")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("year", YEARS)
def test_check_submission_accepts_a_valid_folder_and_zip(year: int, tmp_path: Path) -> None:
    challenge = SMALL[year]
    files = tree(challenge)
    folder = written(tmp_path / "Chang", files)
    assert check_submission(folder, challenge) == []
    task = folder / "Chang/task1" if challenge.nested_zip else folder / "task1"
    assert check_submission(task, challenge) == []
    assert check_submission(zipped(tmp_path / "Chang.zip", files), challenge) == []


def test_check_submission_of_a_folder_without_task_checks_one_system(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", valid_system(CHALLENGE))
    assert check_submission(folder, CHALLENGE) == []
    (folder / f"{LABEL}.meta.yaml").unlink()
    (fault,) = check_submission(folder, CHALLENGE)
    assert str(fault) == f"{LABEL}.meta.yaml: is missing; it must be added"


def without(*parts: str) -> dict[str, bytes]:
    return {name: content for name, content in tree().items() if not any(part in name for part in parts)}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (without(".pdf"), Fault("a.zip", "", "has no technical report; a PDF must be added")),
        (without(f"{LABEL}.meta"), Fault(f"{LABEL}.meta.yaml", "", "is missing; it must be added")),
        (
            {**tree(), f"{SYSTEM}/notes.txt": b""},
            Fault(
                "notes.txt",
                "",
                "its name must be <label>.output.csv or <label>.meta.yaml, where the label is <Name>_<Institute>_task1_"
                "<1 to 4>, with letters, digits and hyphens between three underscores",
            ),
        ),
        (
            {**tree(), "task1/.DS_Store": b""},
            Fault(
                "a.zip/task1/.DS_Store", "", "does not belong to a system; it must be in task1/<label>/, or be deleted"
            ),
        ),
        (
            {name.replace(f"{SYSTEM}/", "task1/Chang_QTI_task1_3/"): content for name, content in tree().items()},
            Fault(f"{LABEL}.output.csv", "", "its name must begin with Chang_QTI_task1_3, as the others do"),
        ),
        (
            {name.replace(f"{SYSTEM}/", "task1/Chang/"): content for name, content in tree().items()},
            Fault("task1/Chang", "", f"its name must be the system's label, {CHALLENGE.label_form}"),
        ),
        (
            {f"Chang/{name}": content for name, content in tree().items()},
            Fault("a.zip", "", "the place of the folder task1 is wrong; it must be at the top of the zip"),
        ),
        ({"task1/report.pdf": b""}, Fault("a.zip", "", "has 0 folders of systems; it must have from 1 to 4")),
        (
            {**tree(), **{f"task1/{n}/x.txt": b"" for n in range(3)}},
            Fault("a.zip", "", "has 5 folders of systems; it must have from 1 to 4"),
        ),
        (
            {f"task1/{n}": b"" for n in range(MAX_FILES + 1)},
            Fault("a.zip", "", "has more than 1,000 files; it must be a submission with about thirty"),
        ),
    ],
)
def test_check_submission_names_the_fault(files: dict[str, bytes], fault: Fault, tmp_path: Path) -> None:
    assert check_submission(zipped(tmp_path / "valid.zip", tree()), CHALLENGE) == []
    assert fault in check_submission(zipped(tmp_path / "a.zip", files), CHALLENGE)


def test_check_submission_of_2021_needs_a_folder_in_the_zip(tmp_path: Path) -> None:
    files = {name.removeprefix("Chang/"): content for name, content in tree(SMALL[2021]).items()}
    (fault,) = check_submission(zipped(tmp_path / "a.zip", files), SMALL[2021])
    assert "it must be in one folder of the zip" in fault.message


def test_check_submission_of_a_damaged_zip_is_an_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", tree())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.zip: cannot be read"):
        check_submission(path, CHALLENGE)
    path.write_bytes(content[:900] + b"\xff" * 40 + content[940:])
    with pytest.raises(DataError, match=r"a\.zip: .*cannot be read"):
        check_submission(path, CHALLENGE)


def moved(prefix: str, year: int) -> dict[str, bytes]:
    """The files of a valid submission, in another place of the zip."""
    top = "Chang/" if SMALL[year].nested_zip else ""
    return {prefix + name.removeprefix(top): content for name, content in tree(SMALL[year]).items()}


@pytest.mark.parametrize("year", [2021, 2022])
@pytest.mark.parametrize("prefix", ["../", "/", "Chang/../", "C:/"])
def test_check_submission_refuses_paths_out_of_the_zip(year: int, prefix: str, tmp_path: Path) -> None:
    faults = check_submission(zipped(tmp_path / "a.zip", moved(prefix, year)), SMALL[year])
    name = f"a.zip/{prefix}task1/Chang_QTI_task1.technical_report.pdf"
    assert Fault(name, "", "its path leads out of the zip; it must be relative, without ..") in faults


def test_check_submission_of_2021_needs_one_folder_for_all(tmp_path: Path) -> None:
    challenge = SMALL[2021]
    label, files = label_of(challenge, 2), tree(challenge)
    apart = {name.replace("Chang/", "Lee/") if label in name else name: content for name, content in files.items()}
    report = {name.removeprefix("Chang/") if name.endswith(".pdf") else name: files[name] for name in files}
    for odd in (apart, report):
        (fault,) = check_submission(zipped(tmp_path / "a.zip", odd), challenge)
        assert str(fault) == "a.zip: has several folders or files at its top; it must have one folder around task1"


@pytest.mark.parametrize("names", [["absent"], ["absent.zip"], ["there", "absent.csv"]])
def test_check_paths_names_a_missing_file(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    with pytest.raises(DataError, match=r"absent.*: no such file or folder; give"):
        check_paths([tmp_path / name for name in names], CHALLENGE)


def test_check_paths_refuses_several_folders(tmp_path: Path) -> None:
    folder, archive = tmp_path / "out", zipped(tmp_path / "a.zip", tree())
    folder.mkdir()
    for paths in ([folder, archive], [archive, folder], [folder, folder]):
        with pytest.raises(UsageError, match="give one folder or zip, or the files of one system"):
            check_paths(paths, CHALLENGE)
    assert check_paths([archive], CHALLENGE) == []
