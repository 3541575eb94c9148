"""Rows of the tables: steps of scenelet and of the reference, timed in turn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.speed import inputs
from benchmarks.speed.instruction_sets import BEST
from benchmarks.speed.timing import Side, in_turn

MAX_FOLDER_ROUNDS = 3
Floor = Literal["training", "prediction", "libraries"]


class Row(NamedTuple):
    """Measurement.

    Attributes:
        title: what is measured.
        clips: number of clips in one run.
        runs: number of runs in each of the rounds.
        floor: kind of the floor. None: the row compares exported files with scenelet itself.
        runtime: library of our network, if it cannot be limited to AVX2.
    """

    title: str
    clips: int
    runs: int
    floor: Floor | None
    runtime: str = ""


FOLDER = f"folder of {inputs.FILES} such files"
ROWS = {
    "training": Row("training step, against CP-ResNet's", inputs.BATCH, 1, "training"),
    "training_same": Row("training step, against the same network's", inputs.BATCH, 1, "training"),
    "db_then_mel": Row("10 s file to log-mel, CP-ResNet's order", 1, 15, "libraries"),
    "mel_then_db": Row("10 s file to log-mel, usual order", 1, 15, "libraries"),
    "file": Row("10 s file to probabilities, ONNX Runtime", 1, 15, "prediction", "onnxruntime"),
    "file_openvino": Row("10 s file to probabilities, OpenVINO", 1, 15, "prediction", "openvino"),
    "folder": Row(f"{FOLDER}, ONNX Runtime", inputs.FILES, 1, "prediction", "onnxruntime"),
    "folder_openvino": Row(f"{FOLDER}, OpenVINO", inputs.FILES, 1, "prediction", "openvino"),
    "int8": Row("log-mel to probabilities, int8 activations (QDQ) against fp32", 1, 15, None, "onnxruntime"),
    "waveform": Row("samples to probabilities, one ONNX graph against `Classifier`", 1, 15, None, "onnxruntime"),
}


def measure(
    name: str, folder: Path, rounds: int, environments: Mapping[str, Mapping[str, str]], limits: Mapping[str, Any]
) -> dict[str, dict[str, list[float]]]:
    """Measure the milliseconds per clip of a row.

    Args:
        name: a key of `ROWS`.
        folder: the folder of the inputs.
        rounds: how often the sides take turns.
        environments: the result of `instruction_sets.environments`.
        limits: for each instruction set the result of `limits.measure`.

    Returns:
        For each instruction set the rounds of "ours" and "reference". Rows with a floor also have "default", the
        reference with the default allocator, and "floor".
    """
    row = ROWS[name]
    found = {}
    for instructions, environment in environments.items():
        if instructions != BEST and (row.floor is None or row.runtime == "openvino"):
            continue
        sides = {"ours": Side("ours", name), "reference": Side("reference", name)}
        if row.floor:
            sides["default"] = Side("reference", name, "default")
        if row.floor == "libraries":
            sides["floor"] = Side("floors", name)
        limited = min(rounds, MAX_FOLDER_ROUNDS) if row.clips == inputs.FILES else rounds
        seconds = in_turn(sides, folder, limited, row.runs, environment)
        found[instructions] = {side: [1000 * value / row.clips for value in values] for side, values in seconds.items()}
        if row.floor in ("training", "prediction"):
            floors = limits[instructions]["floors"]
            passes = 3 if row.floor == "training" else 1
            found[instructions]["floor"] = [1000 * passes * 2 * floors["macs"] / floors["flops"]]
    return found
