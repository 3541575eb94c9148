"""Seeds for model files: one network of each kind, in several encodings."""

from helpers.tiny_model import changed, model_of, random_network, tiny_model, with_known_sounds
from scenelet.config import WindowConfig
from scenelet.model.file import encode_model


def _models() -> list[bytes]:
    """Encode one network of each kind, in each encoding."""
    dense, tiny = random_network(1, dense=True), tiny_model()
    repeated = changed(tiny, window=WindowConfig(seconds=0.2, hop_seconds=0.1, pad_mode="repeat"))
    encoded = [
        tiny,
        with_known_sounds(tiny),
        repeated,
        model_of(random_network(2)),
        model_of(dense, dict.fromkeys(dense.arrays, "fp16")),
    ]
    return [encode_model(model) for model in encoded]


SEEDS = {
    "scn": _models,
    "model": _models,
}
