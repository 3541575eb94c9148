"""A model that hears which third of the spectrum is loudest."""

import numpy as np

from helpers.tiny_model import changed, tiny_model
from scenelet.model.ops import INPUT, OUTPUT, Flatten, Linear, Softmax
from scenelet.model.scene_model import SceneModel

NODES = (
    Flatten(input=INPUT, output="flat"),
    Linear(input="flat", output="logits", weight="dense", bias="bias"),
    Softmax(input="logits", output=OUTPUT),
)


def band_model() -> SceneModel:
    """Build a model whose logits are a tenth of the mean level, in dB, of a third of the bands."""
    weights = np.zeros((3, 2, 16, 13), np.float32)
    for label, bands in enumerate((slice(0, 5), slice(5, 11), slice(11, 16))):
        weights[label, 0, bands] = 0.1 / weights[label, 0, bands].size
    arrays = {"dense": weights.reshape(3, -1), "bias": np.zeros(3, np.float32)}
    encodings = dict.fromkeys(arrays, "fp32")
    return changed(tiny_model(), labels=("low", "mid", "high"), nodes=NODES, arrays=arrays, encodings=encodings)
