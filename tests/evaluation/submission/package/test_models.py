"""Models of a package's module: their files, and the limits of the challenge."""

import shutil
from pathlib import Path

import pytest

from helpers.scene_models import BASELINE, SCENES, SMALL, scene_model, write_scene_model
from scenelet.errors import ModelFileError
from scenelet.evaluation.submission.package.form import RULE
from scenelet.evaluation.submission.package.models import excesses, model_files, read_models
from scenelet.model.file import write_model
from scenelet.model.pretrained import built_in
from scenelet.model.rules import apply_rule


def test_baseline_has_its_published_bytes_and_multiply_accumulates() -> None:
    model = scene_model(features=BASELINE, width=32)
    found = apply_rule(RULE, model, 0)
    assert (model.counts.parameters, found.bytes, found.macs) == (61_148, 122_296, 29_419_156)
    assert excesses(model) == []


def test_excesses_name_value_and_limit() -> None:
    model = scene_model(features=BASELINE, width=40)
    assert excesses(model) == [
        "needs 195,332 bytes of parameters; the limit is 128,000",
        f"needs {apply_rule(RULE, model, 0).macs:,} multiply-accumulates; the limit is 30,000,000",
    ]


def test_model_files_general_first(tmp_path: Path) -> None:
    for name in ("a", "general", "s10"):
        (tmp_path / f"{name}.scn").touch()
    (tmp_path / "notes.txt").touch()
    assert list(model_files(tmp_path)) == ["general", "a", "s10"]
    assert model_files(tmp_path / "a.scn") == {"general": tmp_path / "a.scn"}


def test_model_files_without_a_general_model_raises(tmp_path: Path) -> None:
    (tmp_path / "a.scn").touch()
    with pytest.raises(ModelFileError, match=r"holds no general\.scn"):
        model_files(tmp_path)


def test_model_files_other_device_raises(tmp_path: Path) -> None:
    for name in ("general", "phone"):
        (tmp_path / f"{name}.scn").touch()
    with pytest.raises(ModelFileError, match=r"phone\.scn: 'phone' is not a device of the challenge"):
        model_files(tmp_path)


def test_read_models_other_labels_raises() -> None:
    with pytest.raises(ModelFileError, match=r"its labels are chainsaw, .*; the package needs .* airport to tram"):
        read_models(built_in("esc10") or "")


@pytest.mark.parametrize(
    "settings", [{"labels": SCENES[::-1]}, {"features": SMALL.model_copy(update={"fmin_hz": 100.0})}], ids=str
)
def test_read_models_that_do_not_fit_together_raises(tmp_path: Path, settings: dict) -> None:
    write_scene_model(tmp_path / "general.scn")
    write_scene_model(tmp_path / "a.scn", **settings)
    with pytest.raises(ModelFileError, match=r"a\.scn: its labels, features or windows are not those of general"):
        read_models(tmp_path)


def test_read_models_without_the_networks_name_raises(tmp_path: Path) -> None:
    model = scene_model()
    del model.provenance["network"]
    write_model(model, tmp_path / "m.scn")
    with pytest.raises(ModelFileError, match=r"m\.scn: does not name its network"):
        read_models(tmp_path / "m.scn")


def test_read_models_of_a_copied_folder(tmp_path: Path) -> None:
    general = write_scene_model(tmp_path / "general.scn")
    shutil.copy(general, tmp_path / "s1.scn")
    assert list(read_models(tmp_path)) == ["general", "s1"]
