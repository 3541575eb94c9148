"""Temperature of a model: the number that `compress` divides its logits by, as the last node before the softmax."""

from dataclasses import replace

import numpy as np

from scenelet.model.ops import ScaleShift
from scenelet.model.scene_model import SceneModel

CALIBRATED = "calibrated"
"""Name of the logits after their division."""


def scale_logits(model: SceneModel, temperature: float) -> SceneModel:
    """Return the model with logits that are divided by a temperature.

    A `ScaleShift` before the softmax divides them, so that the stored weights, which may be integers, stay as they are.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = unscale_logits(read_model(built_in("esc10")))
    >>> [node.op for node in scale_logits(model, 2.0).nodes[-3:]]
    ['Linear', 'ScaleShift', 'Softmax']
    """
    *nodes, softmax = model.nodes
    names = {"scale": f"{CALIBRATED}.scale", "shift": f"{CALIBRATED}.shift"}
    scaling = ScaleShift(input=softmax.reads[0], output=CALIBRATED, **names)
    values = {
        names["scale"]: np.full((1, 1), 1 / temperature, np.float32),
        names["shift"]: np.zeros((1, 1), np.float32),
    }
    return replace(
        model,
        nodes=(*nodes, scaling, softmax.model_copy(update={"input": CALIBRATED})),
        arrays=model.arrays | values,
        encodings=model.encodings | dict.fromkeys(values, "fp32"),
    )


def unscale_logits(model: SceneModel) -> SceneModel:
    """Return the model without the division of `scale_logits`; a model that has none as it is.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> model = read_model(built_in("esc10"))
    >>> len(model.nodes) - len(unscale_logits(model).nodes)
    1
    """
    *nodes, softmax = model.nodes
    if not nodes or not isinstance(scaling := nodes[-1], ScaleShift) or scaling.output != CALIBRATED:
        return model
    return replace(
        model,
        nodes=(*nodes[:-1], softmax.model_copy(update={"input": scaling.input})),
        arrays={name: array for name, array in model.arrays.items() if name not in scaling.arrays},
        encodings={name: encoding for name, encoding in model.encodings.items() if name not in scaling.arrays},
    )


def logit_scale(model: SceneModel) -> float:
    """Return the number that a model multiplies its logits by: 1 / temperature; 1 if it has none.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> logit_scale(scale_logits(unscale_logits(read_model(built_in("esc10"))), 2.0))
    0.5
    """
    scale = model.arrays.get(f"{CALIBRATED}.scale")
    return 1.0 if scale is None else float(scale.item())
