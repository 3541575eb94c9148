"""Measure everything and write `benchmarks.md` and `speed.json`."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed import agreement, floors, inputs
from benchmarks.speed import bulk_throughput as bulk
from benchmarks.speed.report import Result, markdown
from benchmarks.speed.timing import commands_in_turn, in_turn, one_command
from scenelet.errors import UsageError, did_you_mean
from scenelet.utils.console import print_message
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.parallel import cpu_count

RESULTS = "speed.json"
PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "onnxruntime", "openvino", "librosa", "ray", "pyarrow")


@dataclass(frozen=True)
class Row:
    """Measurement: `clips` in one run, `runs` in each of the rounds."""

    title: str
    clips: int
    runs: int


ROWS = {
    "training": Row("training step, against CP-ResNet's", inputs.BATCH, 3),
    "training_same": Row("training step, against the same network's", inputs.BATCH, 3),
    "db_then_mel": Row("10 s file to log-mel, CP-ResNet's order", 1, 15),
    "mel_then_db": Row("10 s file to log-mel, usual order", 1, 15),
    "file": Row("10 s file to probabilities, ONNX Runtime", 1, 15),
    "file_openvino": Row("10 s file to probabilities, OpenVINO", 1, 15),
    "folder": Row(f"folder of {inputs.FILES} such files, ONNX Runtime", inputs.FILES, 1),
    "folder_openvino": Row(f"folder of {inputs.FILES} such files, OpenVINO", inputs.FILES, 1),
    "int8": Row("log-mel to probabilities, int8 activations (QDQ) against fp32", 1, 15),
    "waveform": Row("samples to probabilities, one ONNX graph against `Classifier`", 1, 15),
}
PARTS = (*ROWS, "cold", "long", "bulk", "drift")


def bench(
    out: Path, only: Sequence[str] = (), rounds: int = 7, command: str = "", data: Path | None = None
) -> dict[str, Any]:
    """Measure, write `benchmarks.md` and `speed.json`, and return the content of `speed.json`.

    Args:
        out: folder for `benchmarks.md`.
        only: parts of `PARTS`; empty: all of them. With "bulk" only, its section replaces that of the existing files.
        rounds: how often the two sides take turns.
        command: for the record.
        data: folder for `speed.json`; None: `out`.

    Raises:
        UsageError: an unknown part.
        SceneletError: something that is measured failed.
    """
    for part in only:
        if part not in PARTS:
            raise UsageError(
                f"nothing to measure is named {part!r}{did_you_mean(part, PARTS)}; known: {', '.join(PARTS)}"
            )
    chosen = only or PARTS
    data = data or out
    make_folder(out)
    make_folder(data)
    if tuple(only) == ("bulk",) and (data / RESULTS).is_file():
        return _update_bulk(out, data, rounds, command)
    found: dict[str, Any] = {"command": command, "machine": machine(), "rounds": rounds}
    with tempfile.TemporaryDirectory(prefix="scenelet-bench-") as scratch:
        folder = Path(scratch)
        print_message("making recordings and a model")
        inputs.write_recordings(folder)
        inputs.write_model(folder)
        found["floors"] = floors.arithmetic() | floors.work(folder) | {"libraries": floors.libraries(folder)}
        found["differences"] = agreement.largest_differences(folder)
        found["rows"] = []
        for name in (name for name in ROWS if name in chosen):
            print_message(ROWS[name].title)
            found["rows"].append(asdict(_row(name, folder, rounds, found["floors"])))
        if "cold" in chosen:
            print_message("cold start")
            found["cold"] = _cold(folder, rounds)
        if "long" in chosen:
            print_message("long recordings")
            found["long"] = _long(folder)
        if "bulk" in chosen:
            print_message("bulk prediction")
            found["bulk"] = _bulk(folder, rounds, command)
        if "drift" in chosen:
            print_message("200 training steps, for three seeds")
            found["drift"] = agreement.drift()
    return _write(out, data, found)


def _update_bulk(out: Path, data: Path, rounds: int, command: str) -> dict[str, Any]:
    """Measure bulk work only, and replace its section, which names the machine, in the existing results."""
    found: dict[str, Any] = json.loads((data / RESULTS).read_text())
    with tempfile.TemporaryDirectory(prefix="scenelet-bench-") as scratch:
        inputs.write_recordings(Path(scratch))
        found["bulk"] = _bulk(Path(scratch), rounds, command)
    return _write(out, data, found)


def _bulk(folder: Path, rounds: int, command: str) -> dict[str, Any]:
    return {"command": command, "machine": machine(), **bulk.measure(folder, rounds)}


def _write(out: Path, data: Path, found: dict[str, Any]) -> dict[str, Any]:
    replace_files({data / RESULTS: json.dumps(found, indent=2) + "\n", out / "benchmarks.md": markdown(found)})
    return found


def _row(name: str, folder: Path, rounds: int, limits: dict[str, float]) -> Result:
    row = ROWS[name]
    rounds = min(rounds, 3) if row.clips == inputs.FILES else rounds
    seconds = in_turn(name, folder, rounds, row.runs)
    arithmetic = 2 * limits["macs"] / limits["flops"]
    if name.startswith("training"):
        floor = 3 * arithmetic
    elif name in ("db_then_mel", "mel_then_db"):
        floor = limits["libraries"]
    else:
        floor = arithmetic
    per_clip = {side: [1000 * value / row.clips for value in values] for side, values in seconds.items()}
    return Result(name, row.title, per_clip["ours"], per_clip["reference"], 1000 * floor)


def _cold(folder: Path, rounds: int) -> dict[str, Any]:
    clip = str(folder / inputs.CLIP)
    commands = {
        "ours": [*_scenelet(), "predict", str(folder / inputs.MODEL), clip],
        "reference": [sys.executable, "-m", "benchmarks.speed.reference", clip],
    }
    return commands_in_turn(commands, rounds)


def _long(folder: Path) -> list[dict[str, float]]:
    """Measure `predict` on 10 and 60 minutes of stereo at 48 kHz."""
    rows = []
    for minutes in (10, 60):
        path = folder / f"{minutes}.wav"
        inputs.write_long(path, minutes)
        rows.append(
            {"minutes": minutes, **one_command([*_scenelet(), "predict", str(folder / inputs.MODEL), str(path)])}
        )
        path.unlink()
    return rows


def _scenelet() -> list[str]:
    """Return the installed command."""
    return [str(Path(sys.executable).with_name("scenelet"))]


def machine() -> dict[str, Any]:
    """Describe the machine and the versions on which the results depend."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
        flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
        wide = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
        model = f"{model} ({', '.join(wide)})" if wide else model
    return {
        "processor": model,
        "cores": cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "compiler": agreement.has_compiler(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
