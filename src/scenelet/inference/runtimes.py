"""Libraries that run a network: ONNX Runtime by default, and OpenVINO if it is installed and asked for."""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from scenelet.errors import UsageError, did_you_mean, missing_extra
from scenelet.inference.onnx_network import Arrays, to_onnx, without_weights
from scenelet.inference.telemetry import import_runtime
from scenelet.model.known_sounds import KnownSounds
from scenelet.model.ops import EMBEDDING, INPUT, Node, Shape

if TYPE_CHECKING:
    import onnxruntime

Network = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
"""Function from log-mel (n, channels, n_mels, frames), C-contiguous, to the outputs of `open_network`."""
RuntimeName = Literal["onnxruntime", "openvino"]


def open_network(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    callers: int = 1,
    at_once: bool = True,
    embedding: bool = False,
    known: KnownSounds | None = None,
) -> Network:
    """Prepare a network so that several threads can call it at the same time.

    Its outputs are the probabilities (n, classes), and the similarities (n, 1) if there are `known` sounds.

    Args:
        nodes, arrays, input_shape: as `scenelet.inference.onnx_network.to_onnx`.
        runtime: "onnxruntime" computes in fp32. "openvino" computes in bf16 if the processor supports it, so its
            probabilities differ in the third digit, and in fp32 otherwise.
        threads: number of threads for the arithmetic of one call.
        callers: number of threads that call at the same time.
        at_once: prepare the network now; otherwise, when it is first called.
        embedding: return only the embeddings (n, values). ONNX Runtime computes them, whatever `runtime` is.
        known: as `scenelet.inference.onnx_network.to_onnx`.

    Raises:
        ModelFileError: the model's nodes and arrays do not fit together.
        UsageError: the runtime is unknown.
        MissingExtraError: the runtime is not installed.
    """
    check_runtime(runtime)
    if embedding:
        return _Network(lambda: _open_embedding(nodes, arrays, input_shape, threads), at_once)
    return _Network(lambda: _RUNTIMES[runtime](nodes, arrays, input_shape, threads, callers, known), at_once)


class _Network:
    """Network that a forked process opens again, because the process inherits a runtime without its threads."""

    def __init__(self, open_: Callable[[], Network], at_once: bool) -> None:
        self._open, self._lock = open_, threading.Lock()
        self._network: Network | None = open_() if at_once else None
        _opened.add(self)

    def __call__(self, log_mel: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return (self._network or self._open_once())(log_mel)

    def _open_once(self) -> Network:
        with self._lock:
            if self._network is None:
                self._network = self._open()
            return self._network

    def forget(self) -> None:
        """Leave the parent's runtime alone: at its end it would wait for its threads, which do not exist here."""
        if self._network is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._network))
        self._network, self._lock = None, threading.Lock()


_opened: weakref.WeakSet[_Network] = weakref.WeakSet()


def _forget_all() -> None:
    for network in list(_opened):
        network.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def check_runtime(runtime: str) -> None:
    """Raise UsageError for an unknown runtime and MissingExtraError for one that is not installed."""
    if runtime not in _RUNTIMES:
        raise UsageError(
            f"no runtime is named {runtime!r}{did_you_mean(runtime, _RUNTIMES)}; known: {', '.join(_RUNTIMES)}"
        )
    try:
        import_runtime(runtime)
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None


def make_session(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    *,
    threads: int | None = None,
    embedding: bool = False,
    known: KnownSounds | None = None,
) -> "onnxruntime.InferenceSession":
    """Create an ONNX Runtime session on the CPU that takes its weights from memory.

    Args:
        nodes, arrays, input_shape: as `scenelet.inference.onnx_network.to_onnx`.
        threads: number of threads for one operation. None starts one per core.
        embedding, known: as `scenelet.inference.onnx_network.without_weights`.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    onnxruntime = import_runtime("onnxruntime")
    graph, weights = without_weights(nodes, arrays, input_shape, embedding=embedding, known=known)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    # threads that spin between two windows would take CPU time from reading and features
    options.add_session_config_entry("session.force_spinning_stop", "1")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _open_onnxruntime(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    threads: int,
    callers: int,
    known: KnownSounds | None,
) -> Network:
    session = make_session(nodes, arrays, input_shape, threads=threads, known=known)
    return lambda log_mel: list(session.run(None, {INPUT: log_mel}))


def _open_embedding(nodes: Sequence[Node], arrays: Arrays, input_shape: Shape, threads: int) -> Network:
    session = make_session(nodes, arrays, input_shape, threads=threads, embedding=True)
    return lambda log_mel: list(session.run([EMBEDDING], {INPUT: log_mel}))


_FIRST_INFERENCE = threading.Lock()


def _open_openvino(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    threads: int,
    callers: int,
    known: KnownSounds | None,
) -> Network:
    openvino = import_runtime("openvino")
    core = openvino.Core()
    graph = to_onnx(nodes, arrays, input_shape, known=known)
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "INFERENCE_NUM_THREADS": threads * callers,
        "NUM_STREAMS": callers,
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 else "f32",
    }
    loaded = core.read_model(graph.SerializeToString())
    loaded.reshape([1, *input_shape])
    compiled = core.compile_model(loaded, "CPU", settings)
    requests = threading.local()  # an inference request serves one thread at a time

    def run(log_mel: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        rows = [
            [values.copy() for values in requests.own.infer([window[None]], share_inputs=True).values()]
            for window in log_mel
        ]
        return [np.concatenate(output) for output in zip(*rows, strict=True)]

    # OpenVINO's binding builds tables at a process's first inference, and two threads that do so block each other
    with _FIRST_INFERENCE:
        run(np.zeros((1, *input_shape), np.float32))
    return run


_RUNTIMES = {"onnxruntime": _open_onnxruntime, "openvino": _open_openvino}
