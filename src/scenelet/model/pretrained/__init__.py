"""Pretrained models. Each consists of these files:

NAME.scn               the model
NAME.md                its model card
NAME.predictions.csv   its prediction for every test clip
NAME.sources.csv       title, author and license of every training recording
NAME.example.ogg       one of the test clips
"""

import os
from importlib import resources
from pathlib import Path

from scenelet.errors import ModelFileError, did_you_mean


def list_built_in() -> list[str]:
    """Return the names of the pretrained models.

    >>> list_built_in()
    ['esc10']
    """
    return sorted(path.stem for path in _folder().iterdir() if path.suffix == ".scn")


def built_in(name: str) -> Path | None:
    """Return the file of a pretrained model, or None if no model has this name.

    >>> built_in("esc10").name, built_in("esc11")
    ('esc10.scn', None)
    """
    return _folder() / f"{name}.scn" if name in list_built_in() else None


def model_path(model: str | os.PathLike[str]) -> Path:
    """Find the file of a model that is given by its path or by a built-in name.

    An existing file takes precedence, a folder does not.

    Raises:
        ModelFileError: neither a path nor the name of a built-in model.

    >>> model_path("esc10").name
    'esc10.scn'
    """
    path = Path(model)
    # reading what looks like a path will raise the error that fits
    if path.is_file() or path.suffix != "" or path.name != os.fspath(model):
        return path
    found = built_in(path.name)
    if found is not None:
        return found
    if path.exists():
        return path
    near = did_you_mean(path.name, list_built_in())
    raise ModelFileError(f"{model}: no such file, and no built-in model has this name; give a .scn file{near}")


def card(model: Path) -> Path | None:
    """Return the model card of a pretrained model's file, or None for any other file."""
    return model.with_suffix(".md") if model.parent == _folder() else None


def example(name: str) -> Path | None:
    """Return a test recording of a pretrained model, or None if no model has this name."""
    return None if built_in(name) is None else _folder() / f"{name}.example.ogg"


def _folder() -> Path:
    return Path(str(resources.files(__name__)))
