"""Writing of an inference package: its files, and inputs that it refuses."""

from pathlib import Path

import pytest
import soundfile

from helpers.scene_models import write_scene_model
from helpers.wheels import write_wheel
from scenelet import __version__
from scenelet.errors import DataError, ModelFileError, OutputError, UsageError
from scenelet.evaluation.submission.package.check import check_package
from scenelet.evaluation.submission.package.write import package_files, write_package

LABEL = "Lee_Inst_task1"


def test_package_has_every_file_and_no_fault(devices: Path, model: Path, test_list: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / LABEL
    write_package(folder, package_files([devices, model], LABEL, test_list))
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    modules = [f"{LABEL}/{LABEL}_1.py", f"{LABEL}/{LABEL}_2.py", f"{LABEL}/__init__.py"]
    weights = [f"{LABEL}_1/a.scn", f"{LABEL}_1/general.scn", f"{LABEL}_1/s1.scn", f"{LABEL}_2/general.scn"]
    assert found == [
        *modules,
        *(f"{LABEL}/ckpts/{name}" for name in (*weights, "__init__.py")),
        *(f"{LABEL}/resources/{name}" for name in ("__init__.py", "dummy.wav", "test.csv")),
        *("README.md", "requirements.txt", "setup.py", "test_complexity.py"),
    ]
    assert check_package(folder) == []
    assert (folder / LABEL / "ckpts" / f"{LABEL}_1" / "s1.scn").read_bytes() == (devices / "s1.scn").read_bytes()
    assert (folder / LABEL / "resources" / "test.csv").read_bytes() == test_list.read_bytes()
    samples, rate = soundfile.read(folder / LABEL / "resources" / "dummy.wav")
    assert (samples.shape, rate) == ((44_100,), 44_100)
    assert samples.std() > 0.05
    assert [path.name for path in folder.parent.iterdir()] == [LABEL]


def test_python_files_of_a_package_compile(model: Path, test_list: Path) -> None:
    files = package_files([model], LABEL, test_list)
    for name in [name for name in files if name.endswith(".py")]:
        compile(files[name], name, "exec")
        assert b"$" not in str(files[name]).encode(), name


def test_requirements_pin_this_version(model: Path, test_list: Path) -> None:
    lines = str(package_files([model], LABEL, test_list)["requirements.txt"]).splitlines()
    assert lines == [f"scenelet[train]=={__version__}", "torchinfo==1.8.0", "pandas"]


def test_a_wheel_is_put_into_the_package(model: Path, test_list: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / f"scenelet-{__version__}-py3-none-any.whl")
    files = package_files([model], LABEL, test_list, wheel)
    assert files[f"wheels/{wheel.name}"] == wheel.read_bytes()
    assert str(files["requirements.txt"]).splitlines()[0] == f"./wheels/{wheel.name}[train]"
    write_package(tmp_path / LABEL, files)
    assert check_package(tmp_path / LABEL) == []


@pytest.mark.parametrize("name", ["other-1.0-py3-none-any.whl", "scenelet-99.0-py3-none-any.whl"])
def test_wheel_of_another_version_raises(model: Path, test_list: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: is not a wheel of scenelet {__version__}"):
        package_files([model], LABEL, test_list, tmp_path / name)


def test_wheel_that_is_missing_raises(model: Path, test_list: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"whl: cannot be read"):
        package_files([model], LABEL, test_list, tmp_path / f"scenelet-{__version__}-py3-none-any.whl")


def test_archive_without_scenelet_raises(model: Path, test_list: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / f"scenelet-{__version__}-py3-none-any.whl", files=("other.txt",))
    with pytest.raises(UsageError, match=r"whl: is not a wheel of scenelet .*: it lacks scenelet-.*METADATA; give one"):
        package_files([model], LABEL, test_list, wheel)


@pytest.mark.parametrize("count", [0, 5])
def test_other_numbers_of_models_raise(model: Path, test_list: Path, count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} models; give 1 to 4"):
        package_files([model] * count, LABEL, test_list)


def test_label_with_a_number_raises(model: Path, test_list: Path) -> None:
    with pytest.raises(UsageError, match="--label Lee_Inst_task1_1: must be Lastname_Institute_task1"):
        package_files([model], f"{LABEL}_1", test_list)


def test_model_above_a_limit_raises(test_list: Path, tmp_path: Path) -> None:
    write_scene_model(tmp_path / "general.scn")
    write_scene_model(tmp_path / "s1.scn", width=48)
    with pytest.raises(ModelFileError, match=r"s1\.scn: needs 2\d\d,\d{3} bytes of parameters; the limit is 128,000"):
        package_files([tmp_path], LABEL, test_list)


def test_test_list_without_clips_raises(model: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("filename\n")
    with pytest.raises(DataError, match=r"list\.csv: lists no clips; give the challenge's test\.csv"):
        package_files([model], LABEL, tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        package_files([model], LABEL, tmp_path / "none.csv")


def test_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / LABEL).mkdir()
    with pytest.raises(OutputError, match="exists already and is not overwritten"):
        write_package(tmp_path / LABEL, {"setup.py": ""})
    assert list((tmp_path / LABEL).iterdir()) == []


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_package(tmp_path / LABEL, {"setup.py": "", "setup.py/inner": ""})
    assert list(tmp_path.iterdir()) == []
