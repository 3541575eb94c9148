"""A model file for the commands."""

from pathlib import Path

import pytest

from scenelet import modelfile
from tiny_model import tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.scn"
    modelfile.write(tiny_model(), path)
    return path
