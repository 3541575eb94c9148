"""Pretrained models are found by name only."""

import re
from pathlib import Path

import pytest

import scenelet
from helpers.tiny_model import tiny_model
from scenelet.errors import ModelFileError
from scenelet.model import pretrained
from scenelet.model.file import write_model


@pytest.fixture
def places_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(tiny_model(), folder / "places.scn")
    (folder / "places.md").write_text("# places\n")
    monkeypatch.setattr("importlib.resources.files", lambda package: folder)
    monkeypatch.chdir(tmp_path)
    return folder / "places.scn"


def test_load_finds_a_pretrained_model_by_name(places_model: Path) -> None:
    assert pretrained.list_built_in() == ["places"]
    assert pretrained.built_in("places") == places_model
    assert scenelet.load("places").labels == tiny_model().labels


def test_load_refuses_other_names(places_model: Path) -> None:
    assert pretrained.built_in("place") is None
    words = "no built-in model has this name; give a .scn file; did you mean 'places'"
    with pytest.raises(ModelFileError, match=re.escape(words)):
        scenelet.load("place")
    with pytest.raises(ModelFileError, match="no such file"):
        scenelet.load("places.scn")  # the suffix means a file


def test_load_prefers_a_pretrained_model_to_a_folder(places_model: Path, tmp_path: Path) -> None:
    (tmp_path / "places").mkdir()  # for example its training data
    (tmp_path / "recordings").mkdir()
    assert scenelet.load("places").labels == tiny_model().labels
    with pytest.raises(ModelFileError, match="folder"):
        scenelet.load("recordings")


def test_load_prefers_an_existing_file(places_model: Path, tmp_path: Path) -> None:
    (tmp_path / "places").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        scenelet.load("places")
