"""Small good files of every kind, made by our own writers: what fuzzing begins with."""

from tiny_model import changed, model_of, random_network, tiny_model

from scenelet import modelfile
from scenelet.config import WindowConfig


def make(target: str) -> list[bytes]:
    """The seeds of a target."""
    return _MAKERS[target]()


def _models() -> list[bytes]:
    """One network of each kind, in each encoding."""
    dense, tiny = random_network(1, dense=True), tiny_model()
    filled = changed(tiny, window=WindowConfig(seconds=0.2, hop_seconds=0.1, fill="repeat"))
    encoded = [tiny, filled, model_of(random_network(2)), model_of(dense, dict.fromkeys(dense.arrays, "fp16"))]
    return [modelfile.encode(model) for model in encoded]


_MAKERS = {"scn": _models, "model": _models}
