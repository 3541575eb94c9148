"""Export of a network with weights and activations in int8, in ONNX Runtime's QDQ format."""

import contextlib
import itertools
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.errors import AudioError
from scenelet.export.limits import check_exportable
from scenelet.export.onnx_file import metadata_of
from scenelet.inference.onnx_network import to_onnx
from scenelet.model.ops import INPUT, ResidualNorm
from scenelet.model.scene_model import SceneModel

MAX_WINDOWS = 250
"""Maximum count of windows that are read from the recordings."""
HELD_OUT_INTERVAL = 5
"""Every fifth window is held out from the calibration and used for the comparison."""


@dataclass(frozen=True)
class Calibration:
    """Windows of recordings, as log-mel (channels, n_mels, frames).

    Attributes:
        ranges: the windows whose activations determine the ranges.
        compared: the held-out windows for the comparison; the same windows as `ranges` if there are too few.
        recordings: the count of recordings that were read.
        failures: the errors of recordings that could not be read.
    """

    ranges: list[NDArray[np.float32]]
    compared: list[NDArray[np.float32]]
    recordings: int
    failures: list[AudioError]


def int8_bytes(model: SceneModel, log_mels: Sequence[NDArray[np.float32]]) -> bytes:
    """Return the bytes of an ONNX file that computes convolutions, sums and dense layers in int8.

    Weights are symmetric with one step per output channel and use 7 of the 8 bits. Each activation has one step and one
    zero point, from its minimum and maximum on the calibration windows. Norms are folded into convolutions first, so
    the weights are no longer on the powers of two of a model file. These parts stay in fp32: the standardization of the
    input, sub-spectral norms that cannot be folded, residual normalization, SiLU, average pools, the mean over
    frequency, and softmax.

    Args:
        model: the content of a `.scn` file.
        log_mels: calibration windows (channels, n_mels, frames), similar to the later inputs.

    Raises:
        ModelFileError: as `scenelet.export.limits.check_exportable`.
    """
    check_exportable(model)
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(log_mels)

        def get_next(self) -> dict[str, Any] | None:
            window = next(self.left, None)
            return None if window is None else {INPUT: window[None]}

    residual_norms = [node.output for node in model.nodes if isinstance(node, ResidualNorm)]
    proto = to_onnx(model.nodes, model.arrays, model.input_shape)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(proto, source)
        quantize_static(
            source,
            target,
            Windows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "Add", "Relu", "MaxPool", "GlobalAveragePool"],
            per_channel=True,
            # Use 7 bits. Without VNNI, AVX2 adds two products in 16 bits, which products of 8 bits overflow.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[
                f"{model.nodes[0].output}:scaled",
                model.nodes[0].output,
                *residual_norms,
            ],
        )
        quantized = onnx.load_model(target)
    onnx.helper.set_model_props(quantized, metadata_of(model))
    exported: bytes = quantized.SerializeToString()
    return exported


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Disable logging. The quantizer recommends a preparation that these graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def calibrate(model: SceneModel, recordings: Sequence[Path], max_windows: int = MAX_WINDOWS) -> Calibration:
    """Read the first windows of recordings that are evenly spaced in the list.

    Args:
        model: the model, for features and windows.
        recordings: the files.
        max_windows: the maximum count of windows of all recordings together.

    Raises:
        AudioError: none of the recordings can be read.
    """
    features = LogMel(model.features)
    chosen = np.unique(np.linspace(0, len(recordings) - 1, min(max_windows, len(recordings))).round().astype(int))
    found: list[NDArray[np.float32]] = []
    failures: list[AudioError] = []
    read = 0
    for position, index in enumerate(chosen):
        per_recording = -(-(max_windows - len(found)) // (len(chosen) - position))
        try:
            cuts = windows(recordings[index], model.features, model.window)
            found += [features(cut) for cut in itertools.islice(cuts, per_recording)]
            read += 1
        except AudioError as error:
            failures.append(error)
    if not found:
        raise failures[0] if failures else AudioError("there are no recordings for the calibration of activations")
    held_out = found[HELD_OUT_INTERVAL - 1 :: HELD_OUT_INTERVAL]
    ranges = [window for index, window in enumerate(found) if (index + 1) % HELD_OUT_INTERVAL]
    return Calibration(ranges, held_out or found, read, failures)
