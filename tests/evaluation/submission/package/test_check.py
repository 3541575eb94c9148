"""Check of an inference package: each fault is named, and no code of the package runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from helpers.scene_models import write_scene_model
from scenelet.errors import DataError
from scenelet.evaluation.submission.package.check import check_package
from scenelet.evaluation.submission.package.write import package_files, write_package

LABEL = "Lee_Inst_task1"
MODULE = Path(LABEL, f"{LABEL}_1.py")
WEIGHTS = Path(LABEL, "ckpts", f"{LABEL}_1")


@pytest.fixture
def package(devices: Path, test_list: Path, tmp_path: Path) -> Path:
    folder = tmp_path / LABEL
    write_package(folder, package_files([devices], LABEL, test_list))
    return folder


def faults(package: Path) -> list[str]:
    return [str(fault) for fault in check_package(package)]


def append(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text() + text)


def replace(old: str, new: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        (Path("setup.py"), Path.unlink, "setup.py: is missing; it must be a file"),
        (Path("README.md"), Path.unlink, "README.md: is missing; it must be a file"),
        (Path(LABEL, "__init__.py"), Path.unlink, f"{LABEL}/__init__.py: is missing; it must be a file"),
        (
            Path(LABEL, "resources", "__init__.py"),
            Path.unlink,
            f"{LABEL}/resources/__init__.py: is missing",
        ),
        (Path("setup.py"), append("# edited\n"), f"setup.py: is not the one of {LABEL} that `scenelet submit package`"),
        (Path("setup.py"), lambda path: path.write_text(""), f"setup.py: is not the one of {LABEL} that"),
        (
            Path("test_complexity.py"),
            replace("128_000", "999_000"),
            f"test_complexity.py: is not the one of {LABEL} that `scenelet submit package` writes; copy it from a new",
        ),
        (Path("requirements.txt"), Path.unlink, "requirements.txt: is missing; it must list the requirements"),
        (
            Path("requirements.txt"),
            replace("torchinfo", "pyinfo"),
            "requirements.txt: must name torchinfo, which the package imports",
        ),
        (MODULE, replace("def predict", "def forecast"), f"{MODULE}, predict: is missing; it must be a function of"),
        (MODULE, append("def"), f"{MODULE}: is not a Python module (SyntaxError)"),
        (MODULE, Path.unlink, f"{MODULE}: is missing; modules are numbered from 1 without a gap"),
        (Path(LABEL, "resources", "test.csv"), Path.unlink, f"{LABEL}/resources/test.csv: is missing; it must be the"),
        (
            Path(LABEL, "resources", "test.csv"),
            append("audio/bus-lyon-1-2-0-a.wav\tbus\n"),
            f"{LABEL}/resources/test.csv: lists audio/bus-lyon-1-2-0-a.wav twice",
        ),
        (Path(LABEL, "resources", "dummy.wav"), Path.unlink, f"{LABEL}/resources/dummy.wav: is missing"),
        (
            Path(LABEL, "resources", "dummy.wav"),
            lambda path: path.write_bytes(b"RIFF"),
            f"{LABEL}/resources/dummy.wav: cannot be read",
        ),
        (
            Path(LABEL, "resources", "dummy.wav"),
            lambda path: soundfile.write(path, [0.0] * 4000, 8000),
            f"{LABEL}/resources/dummy.wav: has 0.5 s; it must have 1 s",
        ),
        (WEIGHTS / "general.scn", Path.unlink, f"{WEIGHTS}: holds no general.scn, which answers for devices"),
        (WEIGHTS / "a.scn", lambda path: path.write_bytes(b"scn"), f"{WEIGHTS}: a.scn"),
        (
            WEIGHTS / "a.scn",
            lambda path: write_scene_model(path, width=48),
            f"{WEIGHTS}/a.scn: needs 2",
        ),
    ],
    ids=lambda value: "change" if callable(value) else str(value),
)
def test_each_fault_is_named(package: Path, file: Path, change: Callable[[Path], object], fault: str) -> None:
    change(package / file)
    found = faults(package)
    assert len(found) == 1, found
    assert found[0].startswith(fault)


def test_module_without_models_and_with_another_number(package: Path) -> None:
    module = (package / MODULE).read_text()
    (package / LABEL / f"{LABEL}_3.py").write_text(module)
    (package / LABEL / f"{LABEL}_5.py").write_text(module)
    assert faults(package) == [
        f"{LABEL}/{LABEL}_5.py: must have a name from {LABEL}_1 to {LABEL}_4",
        f"{LABEL}/{LABEL}_2.py: is missing; modules are numbered from 1 without a gap",
        f"{LABEL}/ckpts/{LABEL}_3: is missing; it must hold general.scn",
    ]


def test_check_runs_no_code_of_the_package(package: Path, tmp_path: Path) -> None:
    for path in package.rglob("*.py"):
        path.write_text(path.read_text() + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n")
    assert [fault.partition(":")[0] for fault in faults(package)] == ["setup.py", "test_complexity.py"]
    assert not (tmp_path / "ran").exists()


def test_renamed_package_has_the_setup_of_another_label(package: Path) -> None:
    renamed = package.rename(package.with_name("Foo_Bar_task1"))
    # the deepest paths first, so that each is still there when its turn comes
    for path in sorted(renamed.rglob(f"{LABEL}*"), reverse=True):
        path.rename(path.with_name(path.name.replace(LABEL, "Foo_Bar_task1")))
    assert [fault.partition(" that")[0] for fault in faults(renamed)] == [
        "setup.py: is not the one of Foo_Bar_task1",
        "test_complexity.py: is not the one of Foo_Bar_task1",
    ]


def test_line_ends_of_another_system_are_no_fault(package: Path) -> None:
    for path in (*package.rglob("*.py"), package / "requirements.txt"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert faults(package) == []


def test_models_without_a_module(package: Path) -> None:
    shutil.copytree(package / WEIGHTS, package / LABEL / "ckpts" / f"{LABEL}_5")
    (package / LABEL / "ckpts" / "__pycache__").mkdir()
    assert faults(package) == [f"{LABEL}/ckpts/{LABEL}_5: has no module {LABEL}_5.py; delete it"]


def test_folder_with_another_name(package: Path) -> None:
    renamed = package.rename(package.with_name("package"))
    assert faults(renamed)[0].startswith("package: the folder's name must be Lastname_Institute_task1")


def test_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        check_package(tmp_path / LABEL)
