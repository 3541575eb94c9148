"""A folder of models for recording devices, each of which always gives the same answer."""

from pathlib import Path

import numpy as np

from helpers.tiny_model import changed, tiny_model
from scenelet.model.file import write_model
from scenelet.model.scene_model import SceneModel


def constant_model(label: str, labels: tuple[str, ...] = ("high", "low", "other")) -> SceneModel:
    """Build a model that gives the label a probability of nearly 1, whatever it hears."""
    model = tiny_model()
    arrays = dict(model.arrays)
    last = next(node.scale for node in reversed(model.nodes) if node.op == "ScaleShift")
    shift = last.removesuffix("scale") + "shift"
    arrays[last] = np.zeros_like(arrays[last])
    arrays[shift] = np.float32([[30.0 * (each == label) for each in labels]])
    return changed(model, labels=labels, arrays=arrays)


def write_device_folder(folder: Path, answers: dict[str, str]) -> Path:
    """Write a model for each name, "general" among them, that always gives the answer."""
    folder.mkdir(parents=True)
    for name, answer in answers.items():
        write_model(constant_model(answer), folder / f"{name}.scn")
    return folder
