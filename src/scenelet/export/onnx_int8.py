"""Export of a network with weights and activations in int8, in ONNX Runtime's QDQ format."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.limits import check_exportable
from scenelet.export.onnx_file import metadata_of
from scenelet.inference.onnx_network import to_onnx
from scenelet.model.ops import INPUT, ResidualNorm
from scenelet.model.scene_model import SceneModel


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
