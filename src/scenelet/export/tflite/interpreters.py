"""Interpreters that run a `.tflite` file, each in a process of its own.

They are native code that prints to stderr, and tflite-micro crashes in some arenas that are too small. In another
process, none of this reaches the program that exports.
"""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.export.fused.int8_network import Quantization

LITERT, LITERT_REFERENCE, MICRO = "LiteRT", "LiteRT with reference kernels", "tflite-micro"
ARENA_STEP = 16
"""Precision in bytes to which the arena is found."""
TENSOR_ROOM = 1 << 13
"""Bytes per tensor that are more than enough for its description, and for the state of the operator that writes it."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Loaded:
    """File that an interpreter has loaded.

    Attributes:
        run: function from the input tensor to the output tensor.
        source, result: details of the two tensors.
        arena_bytes: the arena that it has in tflite-micro, or 0.
    """

    run: Callable[[Array], Array]
    source: Mapping[str, Any]
    result: Mapping[str, Any]
    arena_bytes: int = 0


def run_interpreter(name: str, exported: bytes, log_mels: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Run a file in a new process.

    Args:
        name: one of `LITERT`, `LITERT_REFERENCE` and `MICRO`.
        exported: the bytes of the file.
        log_mels: windows (windows, channels, n_mels, frames) in dB.

    Returns:
        The probabilities (windows, classes), and the bytes of the arena that tflite-micro needs (0 for LiteRT).

    Raises:
        RuntimeError: the interpreter cannot run the file. The message is one line.
    """
    request = io.BytesIO()
    np.savez(request, exported=np.frombuffer(exported, np.uint8), log_mels=log_mels)
    command = [sys.executable, "-P", "-m", "scenelet.export.tflite.interpreters", name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, input=request.getvalue(), capture_output=True, env=environment)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(lines[-1] if done.returncode > 0 and lines else f"it crashed with code {done.returncode}")
    with np.load(io.BytesIO(done.stdout)) as answer:
        return answer["probabilities"], int(answer["arena_bytes"])


def main() -> None:
    """Run the file of stdin in the interpreter that the first argument names, and write its answer to stdout."""
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        exported, log_mels = request["exported"].tobytes(), request["log_mels"]
    if sys.argv[1] == MICRO:
        loaded = load_micro(exported, smallest_arena(exported))
    else:
        loaded = load_litert(exported, reference=sys.argv[1] == LITERT_REFERENCE)
    answer = io.BytesIO()
    np.savez(answer, probabilities=run_windows(loaded, log_mels), arena_bytes=loaded.arena_bytes)
    sys.stdout.buffer.write(answer.getvalue())


def run_windows(loaded: Loaded, log_mels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a loaded file on windows.

    Args:
        loaded: the file.
        log_mels: (windows, channels, n_mels, frames) in dB.

    Returns:
        Probabilities (windows, classes). In int8, the windows are quantized and the probabilities dequantized.
    """
    source, result = _quantization(loaded.source), _quantization(loaded.result)
    rows = []
    for window in log_mels.transpose(0, 2, 3, 1):
        row = loaded.run(window[None] if source is None else source.quantize(window[None]))[0]
        rows.append(row.copy() if result is None else result.dequantize(row))
    return np.stack(rows)


def _quantization(details: Mapping[str, Any]) -> Quantization | None:
    """Return the quantization of a tensor, or None if it is in float."""
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) == 0:
        return None
    return Quantization(float(parameters["scales"][0]), int(parameters["zero_points"][0]))


def load_litert(exported: bytes, reference: bool) -> Loaded:
    """Load a file in LiteRT with its reference kernels or its fast ones."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(model_content=exported, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(values: Array) -> Array:
        interpreter.set_tensor(source["index"], values)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result["index"]))

    return Loaded(run, source, result)


def load_micro(exported: bytes, arena_bytes: int) -> Loaded:
    """Load a file in tflite-micro. An arena that is too small can crash the process."""
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    interpreter = Interpreter.from_bytes(exported, arena_size=arena_bytes)

    def run(values: Array) -> Array:
        interpreter.set_input(values, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0))

    return Loaded(run, interpreter.get_input_details(0), interpreter.get_output_details(0), arena_bytes)


def enough_arena(exported: bytes) -> int:
    """Return an arena in bytes that is more than enough: room for all tensors and their descriptions at once."""
    import tflite

    graph = tflite.Model.GetRootAs(exported).Subgraphs(0)
    shapes = [graph.Tensors(index).ShapeAsNumpy() for index in range(graph.TensorsLength())]
    return sum(4 * int(np.prod(shape)) + TENSOR_ROOM for shape in shapes)


def smallest_arena(exported: bytes) -> int:
    """Return the smallest arena in bytes in which tflite-micro can load a file, at most `enough_arena`.

    The total that tflite-micro records is not enough for small networks, whose arena is largest while it is planned.
    """
    failing, enough = 0, -(-enough_arena(exported) // ARENA_STEP)
    while enough - failing > 1:
        middle = (failing + enough) // 2
        failing, enough = (failing, middle) if fits(exported, ARENA_STEP * middle) else (middle, enough)
    return ARENA_STEP * enough


def fits(exported: bytes, arena_bytes: int) -> bool:
    """Return True if tflite-micro can load a file in an arena. A copy of this process tries it, and may crash."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            load_micro(exported, arena_bytes)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(process, 0)[1] == 0


if __name__ == "__main__":
    main()
