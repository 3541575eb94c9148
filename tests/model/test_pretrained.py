"""Built-in models: found by name, and by no other word."""

import re
from pathlib import Path

import pytest

import scenelet
from helpers.tiny_model import tiny_model
from scenelet.errors import ModelFileError
from scenelet.model import file as modelfile
from scenelet.model import pretrained as models


@pytest.fixture
def one_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    modelfile.write_model(tiny_model(), folder / "places.scn")
    (folder / "places.md").write_text("# places\n")
    monkeypatch.setattr(models, "_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder / "places.scn"


def test_a_built_in_model_is_loaded_by_its_name(one_built_in: Path) -> None:
    assert models.list_built_in() == ["places"]
    assert models.built_in("places") == one_built_in
    assert scenelet.load("places").labels == tiny_model().labels


def test_other_words_are_none(one_built_in: Path) -> None:
    assert models.built_in("place") is None
    words = "no model is built in under this name; give a .scn file; did you mean 'places'"
    with pytest.raises(ModelFileError, match=re.escape(words)):
        scenelet.load("place")
    with pytest.raises(ModelFileError, match="no such file"):
        scenelet.load("places.scn")  # a file is meant


def test_a_folder_of_that_name_does_not_hide_the_model(one_built_in: Path, tmp_path: Path) -> None:
    (tmp_path / "places").mkdir()  # the data that it learnt from, say
    (tmp_path / "recordings").mkdir()
    assert scenelet.load("places").labels == tiny_model().labels
    with pytest.raises(ModelFileError, match="folder"):
        scenelet.load("recordings")


def test_an_existing_file_wins(one_built_in: Path, tmp_path: Path) -> None:
    (tmp_path / "places").write_bytes(b"no model")
    with pytest.raises(ModelFileError):
        scenelet.load("places")
