"""`scenelet submit package` and `check-package`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.scene_models import write_scene_model
from scenelet.model.file import read_model, write_model

LABEL = "Lee_Inst_task1"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def package(command: Run, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run `submit package` with these models."""
    test_list = tmp_path / "list.csv"
    test_list.write_text("filename\tscene_label\naudio/bus-lyon-1-2-0-a.wav\tbus\n")
    options = ("--label", LABEL, "--test-list", test_list, "--out", tmp_path / "out")
    return lambda *models: command("submit", "package", *models, *options)


def test_package_then_check_package(package: Run, command: Run, tmp_path: Path) -> None:
    folder = tmp_path / "out" / LABEL
    code, out, err = package(write_scene_model(tmp_path / "m.scn"))
    assert (code, out) == (0, "")
    assert f"written: {folder}; try it as its README.md says" in err
    assert command("submit", "check-package", folder)[:2] == (0, "no faults\n")
    (folder / "setup.py").unlink()
    code, out, _ = command("submit", "check-package", folder, "--format", "json")
    fault = {"file": "setup.py", "where": "", "message": "is missing; it must be a file"}
    assert (code, json.loads(out)) == (1, {"faults": [fault]})


def test_package_of_a_model_above_a_limit_writes_nothing(package: Run, tmp_path: Path) -> None:
    code, out, err = package(write_scene_model(tmp_path / "m.scn", width=48))
    assert (code, out) == (1, "")
    assert f"error: {tmp_path / 'm.scn'}: needs 2" in err
    assert "the limit is 128,000" in err
    assert not (tmp_path / "out").exists()


def test_package_of_a_network_that_cannot_be_loaded_writes_nothing(package: Run, tmp_path: Path) -> None:
    path = write_scene_model(tmp_path / "m.scn")
    model = read_model(path)
    model.provenance["network"]["width"] = 16
    write_model(model, path)
    code, _, err = package(path)
    assert code == 1
    assert "m.scn: its layers are not those of the network that it names; give another model" in err
    assert not (tmp_path / "out").exists()


def test_check_package_of_a_missing_folder(command: Run, tmp_path: Path) -> None:
    code, out, err = command("submit", "check-package", tmp_path / LABEL)
    assert (code, out) == (1, "")
    assert "no such folder; give one that `scenelet submit package` wrote" in err
