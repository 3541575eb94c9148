"""Models that come with scenelet: `NAME.scn`, beside it its card `NAME.md` and whose recordings it learnt from."""

from importlib import resources
from pathlib import Path


def list_built_in() -> list[str]:
    """Names of the models that come with scenelet."""
    return sorted(path.stem for path in _folder().iterdir() if path.suffix == ".scn")


def built_in(name: str) -> Path | None:
    """The model file of this name, or None."""
    return _folder() / f"{name}.scn" if name in list_built_in() else None


def _folder() -> Path:
    return Path(str(resources.files(__name__)))
