"""Export of a model to one `.tflite` file, in float or int8."""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import missing_extra
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_network import check_int8, quantize_network
from scenelet.export.fused.value_ranges import value_ranges
from scenelet.export.limits import check_exportable
from scenelet.export.onnx_file import metadata_of
from scenelet.export.tflite.lower import lower
from scenelet.export.tflite.serialize import serialize
from scenelet.model.scene_model import SceneModel

PACKAGES = ("flatbuffers", "tflite", "ai_edge_litert")
MICRO = "tflite_micro"
INPUT_METADATA = {"value": "log-mel", "unit": "dB", "axes": ["batch", "mel band", "frame", "channel"]}


def check_tflite_exportable(model: SceneModel, int8: bool) -> None:
    """Check that a model can become a `.tflite` file, before recordings are read for its calibration.

    Raises:
        MissingExtraError: a package of the extra `[tflite]` is not installed.
        ModelFileError: as `scenelet.export.limits.check_exportable`, or the model has no int8 form.
    """
    for package in (*PACKAGES, *([MICRO] if has_micro_wheel() else [])):
        if find_spec(package) is None:
            missing = missing_extra(ModuleNotFoundError(name=package))
            assert missing is not None
            raise missing
    check_exportable(model)
    if int8:
        check_int8(fuse(model))


def has_micro_wheel() -> bool:
    """Return True if `tflite-micro` can be installed on this system."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def tflite_bytes(model: SceneModel, log_mels: Sequence[NDArray[np.float32]] = ()) -> bytes:
    """Return the bytes of a `.tflite` file.

    The input is "log_mel" (1, n_mels, frames, channels) in dB, the output "probabilities" (1, classes). In int8, both
    are integers on the steps and zero points of their tensors. The metadata hold labels, feature settings, window rule,
    licenses and the axes of the input as JSON.

    Args:
        model: the content of a `.scn` file.
        log_mels: calibration windows (channels, n_mels, frames) in dB for a file in int8. Without them the file is in
            float.

    Raises:
        MissingExtraError, ModelFileError: as `check_tflite_exportable`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> tflite_bytes(read_model(built_in("esc10")))[4:8]
    b'TFL3'
    """
    check_tflite_exportable(model, bool(log_mels))
    network = fuse(model)
    int8 = quantize_network(network, value_ranges(model, network.shapes, log_mels)) if log_mels else None
    graph, source, result = lower(network, int8)
    return serialize(graph, source, result, {**metadata_of(model), "input": json.dumps(INPUT_METADATA)})
