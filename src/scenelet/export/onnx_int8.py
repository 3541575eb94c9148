"""An exported network with activations in int8 too, by ONNX Runtime's QDQ form."""

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
from scenelet.export.onnx_file import metadata_of
from scenelet.inference.onnx_network import to_onnx
from scenelet.model.ops import INPUT
from scenelet.model.scene_model import SceneModel

WINDOWS = 250
"""Windows of recordings that are looked at, at most."""
APART = 5
"""Every so manieth of them is kept out of the ranges, to be compared on."""


@dataclass(frozen=True)
class Calibration:
    """Windows of recordings, as log-mel (channels, n_mels, frames).

    Attributes:
        ranges: those whose activations give the ranges.
        compared: others, to measure on what the ranges were not made of; the same ones where there are too few.
        recordings: how many recordings they are of.
        failures: what is wrong with recordings that could not be read.
    """

    ranges: list[NDArray[np.float32]]
    compared: list[NDArray[np.float32]]
    recordings: int
    failures: list[AudioError]


def int8_bytes(model: SceneModel, log_mels: Sequence[NDArray[np.float32]]) -> bytes:
    """The model as an ONNX file that computes convolutions, sums and dense layers in int8.

    Weights are symmetric, in 7 of the 8 bits, one step for each output channel; activations have one step and one zero
    for each value, from their least and largest on the calibration windows. Norms are folded into the convolutions
    first, which moves weights off the powers of two that a model file holds. In fp32 stay: the input's standardization,
    sub-spectral norms that cannot be folded, SiLU, the mean over frequency, and softmax.

    Args:
        model: what a `.scn` file holds.
        log_mels: windows (channels, n_mels, frames), like those it will meet.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(log_mels)

        def get_next(self) -> dict[str, Any] | None:
            one = next(self.left, None)
            return None if one is None else {INPUT: one[None]}

    proto = to_onnx(model.nodes, model.arrays, model.input_shape)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, made = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(proto, source)
        quantize_static(
            source,
            made,
            Windows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "Add", "Relu", "MaxPool", "GlobalAveragePool"],
            per_channel=True,
            # of 7 bits: two products of 8 bits overflow the 16 that AVX2 adds them in, and answers are then wrong on
            # processors without VNNI
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[f"{model.nodes[0].output}:scaled", model.nodes[0].output],
        )
        quantized = onnx.load_model(made)
    onnx.helper.set_model_props(quantized, metadata_of(model))
    exported: bytes = quantized.SerializeToString()
    return exported


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer advises, by the root logger, on a preparation that our graphs do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def calibrate(model: SceneModel, recordings: Sequence[Path]) -> Calibration:
    """Windows of recordings that are evenly chosen from these, the first ones of each, `WINDOWS` at most.

    Raises:
        AudioError: not one of them can be read.
    """
    features = LogMel(model.features)
    chosen = np.unique(np.linspace(0, len(recordings) - 1, min(WINDOWS, len(recordings))).round().astype(int))
    found: list[NDArray[np.float32]] = []
    failures: list[AudioError] = []
    heard = 0
    for index, place in enumerate(chosen):
        most = -(-(WINDOWS - len(found)) // (len(chosen) - index))  # so many windows of this one
        try:
            cuts = windows(recordings[place], model.features, model.window)
            found += [features(cut) for cut in itertools.islice(cuts, most)]
            heard += 1
        except AudioError as error:
            failures.append(error)
    if not found:
        raise failures[0] if failures else AudioError("no recordings to take the ranges of activations from")
    compared = found[APART - 1 :: APART]
    ranges = [one for index, one in enumerate(found) if index % APART != APART - 1]
    return Calibration(ranges, compared or found, heard, failures)
