"""Seed model files: one network of each kind, in several encodings."""

from helpers.tiny_model import changed, model_of, random_network, tiny_model
from scenelet.config import WindowConfig
from scenelet.model import file as modelfile


def _models() -> list[bytes]:
    """Return one network of each kind, in several encodings."""
    dense, tiny = random_network(1, dense=True), tiny_model()
    filled = changed(tiny, window=WindowConfig(seconds=0.2, hop_seconds=0.1, pad_mode="repeat"))
    encoded = [tiny, filled, model_of(random_network(2)), model_of(dense, dict.fromkeys(dense.arrays, "fp16"))]
    return [modelfile.encode_model(model) for model in encoded]


SEEDS = {
    "scn": _models,
    "model": _models,
}
