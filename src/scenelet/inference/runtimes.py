"""What runs a network: ONNX Runtime, or OpenVINO where it is installed and asked for."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import UsageError, did_you_mean, missing_extra
from scenelet.inference.onnx_network import Arrays, to_onnx, without_weights
from scenelet.inference.telemetry import import_runtime
from scenelet.model.ops import INPUT, OUTPUT, Node, Shape

if TYPE_CHECKING:
    import onnxruntime

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Log-mel (n, channels, n_mels, frames), C-contiguous -> probabilities (n, classes)."""
RuntimeName = Literal["onnxruntime", "openvino"]


def open_network(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    callers: int = 1,
) -> Network:
    """The network, ready to be called by several threads at once.

    Args:
        nodes, arrays, input_shape: see `scenelet.inference.onnx_network.to_onnx`.
        runtime: "onnxruntime" computes in fp32; "openvino" in bf16 where the processor multiplies it, so its
            probabilities differ in the third digit, and in fp32 elsewhere.
        threads: for the arithmetic of one call.
        callers: how many threads call it at once.

    Raises:
        ModelFileError: the model's nodes and arrays do not fit together.
        UsageError: no runtime has this name.
        MissingExtraError: it is not installed.
    """
    check_runtime(runtime)
    return _RUNTIMES[runtime](nodes, arrays, input_shape, threads, callers)


def check_runtime(runtime: str) -> None:
    """Raises UsageError where no runtime has this name, MissingExtraError where it is not installed."""
    if runtime not in _RUNTIMES:
        raise UsageError(
            f"no runtime is named {runtime!r}{did_you_mean(runtime, _RUNTIMES)}; known: {', '.join(_RUNTIMES)}"
        )
    try:
        import_runtime(runtime)
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None


def make_session(
    nodes: Sequence[Node], arrays: Arrays, input_shape: Shape, *, threads: int | None = None, fold: bool = True
) -> "onnxruntime.InferenceSession":
    """An ONNX Runtime session on the CPU whose weights are handed over from memory.

    Args:
        nodes, arrays, input_shape, fold: as `scenelet.inference.onnx_network.to_onnx`.
        threads: for one operation; None: one a core.

    Raises:
        ModelFileError: as `scenelet.model.ops.shapes`.
    """
    onnxruntime = import_runtime("onnxruntime")
    graph, weights = without_weights(nodes, arrays, input_shape, fold=fold)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    # between two windows its threads would go on spinning, and take the processors from reading and features
    options.add_session_config_entry("session.force_spinning_stop", "1")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _onnxruntime(nodes: Sequence[Node], arrays: Arrays, input_shape: Shape, threads: int, callers: int) -> Network:
    session = make_session(nodes, arrays, input_shape, threads=threads)

    def run(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = session.run([OUTPUT], {INPUT: log_mel})[0]
        return probabilities

    return run


_FIRST = threading.Lock()


def _openvino(nodes: Sequence[Node], arrays: Arrays, input_shape: Shape, threads: int, callers: int) -> Network:
    openvino = import_runtime("openvino")
    core = openvino.Core()
    graph = to_onnx(nodes, arrays, input_shape)
    settings = {
        "INFERENCE_NUM_THREADS": threads * callers,
        "NUM_STREAMS": callers,
        "INFERENCE_PRECISION_HINT": "bf16"
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        else "f32",
    }
    loaded = core.read_model(graph.SerializeToString())
    loaded.reshape([1, *input_shape])
    compiled = core.compile_model(loaded, "CPU", settings)
    own = threading.local()  # an inference request serves one caller at a time

    def run(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        rows = [own.request.infer([window[None]], share_inputs=True)[0].copy() for window in log_mel]
        return np.concatenate(rows)

    with _FIRST:  # its binding makes tables at a process's first inference: two threads at that hang each other
        run(np.zeros((1, *input_shape), np.float32))
    return run


_RUNTIMES = {"onnxruntime": _onnxruntime, "openvino": _openvino}
