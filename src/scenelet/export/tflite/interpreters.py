"""Interpreters that run a `.tflite` file, each in a process of its own.

They are native code that prints to stderr, and tflite-micro crashes in an arena that is far too small. In another
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
MIN_ARENA, MAX_ARENA = 1 << 12, 1 << 28
ARENA_ALIGNMENT = 16
"""Arena sizes in bytes. Below the minimum, tflite-micro crashes instead of reporting a failure."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Loaded:
    """File that an interpreter has loaded.

    Attributes:
        run: function from the input tensor to the output tensor.
        source, result: details of the two tensors.
        arena_bytes: the smallest arena in which tflite-micro runs the file, 0 for other interpreters.
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
        The probabilities (windows, classes), and the bytes of `Loaded.arena_bytes`.

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
    answer_file = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints does not damage the answer
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        exported, log_mels = request["exported"].tobytes(), request["log_mels"]
    loaded = _load_micro(exported) if sys.argv[1] == MICRO else _load_litert(exported, sys.argv[1] == LITERT_REFERENCE)
    rows = []
    for log_mel in log_mels.transpose(0, 2, 3, 1):
        source = _quantization(loaded.source)
        result = loaded.run(log_mel[None] if source is None else source.quantize(log_mel[None]))[0]
        target = _quantization(loaded.result)
        rows.append(result.copy() if target is None else target.dequantize(result))
    answer = io.BytesIO()
    np.savez(answer, probabilities=np.stack(rows), arena_bytes=loaded.arena_bytes)
    with answer_file:
        answer_file.write(answer.getvalue())


def _quantization(details: Mapping[str, Any]) -> Quantization | None:
    """Return the quantization of a tensor, or None if it is in float."""
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) == 0:
        return None
    return Quantization(float(parameters["scales"][0]), int(parameters["zero_points"][0]))


def _load_litert(exported: bytes, reference: bool) -> Loaded:
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


def _load_micro(exported: bytes) -> Loaded:
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    failing, arena = MIN_ARENA, MIN_ARENA
    while not _fits(exported, arena) and arena < MAX_ARENA:
        failing, arena = arena, 2 * arena
    while arena - failing > ARENA_ALIGNMENT:
        middle = (failing + arena) // 2 // ARENA_ALIGNMENT * ARENA_ALIGNMENT
        if _fits(exported, middle):
            arena = middle
        else:
            failing = middle
    interpreter = Interpreter.from_bytes(exported, arena_size=arena)

    def run(values: Array) -> Array:
        interpreter.set_input(values, 0)
        interpreter.invoke()
        return np.asarray(interpreter.get_output(0))

    return Loaded(run, interpreter.get_input_details(0), interpreter.get_output_details(0), arena)


def _fits(exported: bytes, arena: int) -> bool:
    """Return True if tflite-micro can prepare a file in an arena of this size."""
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    try:
        Interpreter.from_bytes(exported, arena_size=arena)
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    main()
