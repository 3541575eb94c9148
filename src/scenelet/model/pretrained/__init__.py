"""Models that come with scenelet: `NAME.scn`, and beside it

NAME.md                its card
NAME.predictions.csv   its answer to every clip that it was tested on
NAME.sources.csv       whose recordings it learnt from
NAME.example.ogg       one of the clips that it was tested on
"""

from importlib import resources
from pathlib import Path


def list_built_in() -> list[str]:
    """Names of the models that come with scenelet."""
    return sorted(path.stem for path in _folder().iterdir() if path.suffix == ".scn")


def built_in(name: str) -> Path | None:
    """The model file of this name, or None."""
    return _folder() / f"{name}.scn" if name in list_built_in() else None


def card(model: Path) -> Path | None:
    """The card of this model file, where it is a built-in one."""
    return model.with_suffix(".md") if model.parent == _folder() else None


def example(name: str) -> Path | None:
    """A recording that this built-in model was tested on, or None as `built_in`."""
    return None if built_in(name) is None else _folder() / f"{name}.example.ogg"


def _folder() -> Path:
    return Path(str(resources.files(__name__)))
