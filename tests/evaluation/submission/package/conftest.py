"""A test list and models, small and large."""

from pathlib import Path

import pytest

from helpers.scene_models import write_scene_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene_model(tmp_path_factory.mktemp("one") / "m.scn")


@pytest.fixture(scope="session")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    for seed, name in enumerate(("general", "a", "s1")):
        write_scene_model(folder / f"{name}.scn", seed)
    return folder


@pytest.fixture
def test_list(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text("filename\tscene_label\naudio/bus-lyon-1-2-0-a.wav\tbus\n")
    return path
