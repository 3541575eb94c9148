"""The interpreter for microcontrollers, tflite-micro, on graphs in int8."""

import warnings

import numpy as np
import pytest

from scenelet.export.fused.int8_network import Quantization
from scenelet.export.tflite.graph import Graph
from scenelet.export.tflite.serialize import serialize

ARENA = 4_000_000


def require_micro() -> None:
    """Skip a test if tflite-micro is missing."""
    for package in ("flatbuffers", "tflite", "tflite_micro"):
        pytest.importorskip(package, reason=f"{package} is not installed")


def run_micro(graph: Graph, result: int, values: np.ndarray, wanted: list[int] | None = None) -> list[np.ndarray]:
    """Run a graph whose first tensor is its input, and return its result, or all tensors of `wanted`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its bindings are compiled for another version of NumPy
        from tflite_micro.python.tflite_micro import runtime
    data = serialize(graph, 0, result, {})
    config = runtime.InterpreterConfig
    kind = config.kAllocationRecording if wanted is None else config.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA, intrepreter_config=kind)
    interpreter.set_input(values, 0)
    interpreter.invoke()
    if wanted is None:
        return [np.array(interpreter.get_output(0))]
    return [np.array(interpreter.GetTensor(index, 0)["tensor_data"]) for index in wanted]


def quantized_tensor(graph: Graph, name: str, shape: tuple[int, ...], quantization: Quantization) -> int:
    """Add a tensor in int8."""
    return graph.tensor(name, shape, np.int8, steps=(quantization.step,), zero_points=(quantization.zero_point,))
