"""Measure the parts, and write `benchmarks.md` and `speed.json`."""

import functools
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed import agreement, inputs, limits, networks, rows
from benchmarks.speed import bulk_throughput as bulk
from benchmarks.speed.instruction_sets import BEST, describe_best, environments
from benchmarks.speed.report import markdown
from benchmarks.speed.timing import commands_in_turn, one_command
from scenelet.errors import UsageError, did_you_mean
from scenelet.training.precision import has_native_bf16
from scenelet.utils.console import print_message
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.parallel import cpu_count

RESULTS = "speed.json"
PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "onnxruntime", "openvino", "librosa", "ray", "pyarrow")
LIMITS = "limits"
"""Key of the floors and differences, which are measured with any row."""


def bench(
    out: Path, only: Sequence[str] = (), rounds: int = 7, command: str = "", data: Path | None = None
) -> dict[str, Any]:
    """Measure, write `benchmarks.md` and `speed.json`, and return the content of `speed.json`.

    Every part is written as soon as it is measured. It replaces its section of existing files only, and records the
    command and the machine.

    Args:
        out: folder for `benchmarks.md`.
        only: parts of `PARTS`; empty: all of them.
        rounds: how often the sides take turns.
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
    chosen = [part for part in PARTS if not only or part in only]
    data = data or out
    make_folder(out)
    make_folder(data)
    path = data / RESULTS
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    run = {"command": command, "machine": machine(), "rounds": rounds}
    with tempfile.TemporaryDirectory(prefix="scenelet-bench-") as scratch:
        folder = Path(scratch)
        if set(chosen) - {"networks", "drift"}:
            print_message("making recordings and a model")
            inputs.write_recordings(folder)
            inputs.write_benchmark_model(folder)
        if set(chosen) & set(rows.ROWS):
            print_message("floors")
            found[LIMITS] = {"run": run} | {
                name: limits.measure(folder, name, environment) for name, environment in environments().items()
            }
        for part in chosen:
            print_message(rows.ROWS[part].title if part in rows.ROWS else part)
            arguments = {"limits": found[LIMITS]} if part in rows.ROWS else {}
            found[part] = {"run": run, **PARTS[part](folder, rounds, **arguments)}
            found = {name: found[name] for name in (LIMITS, *PARTS) if name in found}
            replace_files({path: json.dumps(found, indent=1) + "\n", out / "benchmarks.md": markdown(found)})
    return found


def _row(name: str, folder: Path, rounds: int, limits: dict[str, Any]) -> dict[str, Any]:
    return rows.measure(name, folder, rounds, environments(), limits)


def _networks(folder: Path, rounds: int) -> dict[str, Any]:
    rounds = min(rounds, 3)
    return {
        name: networks.measure(folder, rounds, environment, has_bf16=name == BEST and has_native_bf16())
        for name, environment in environments().items()
    }


def _cold(folder: Path, rounds: int) -> dict[str, Any]:
    clip = str(folder / inputs.CLIP)
    commands = {
        "ours": [*_scenelet(), "predict", str(folder / inputs.MODEL), clip],
        "reference": [sys.executable, "-m", "benchmarks.speed.reference", clip],
    }
    return commands_in_turn(commands, rounds)


def _long(folder: Path, rounds: int) -> dict[str, Any]:
    """Measure `predict` on 10 and 60 minutes of stereo at 48 kHz, once."""
    runs = []
    for minutes in (10, 60):
        path = folder / f"{minutes}.wav"
        inputs.write_long(path, minutes)
        runs.append(
            {"minutes": minutes, **one_command([*_scenelet(), "predict", str(folder / inputs.MODEL), str(path)])}
        )
        path.unlink()
    return {"runs": runs}


def _drift(folder: Path, rounds: int) -> dict[str, Any]:
    return agreement.drift()


def _scenelet() -> list[str]:
    """Return the installed command."""
    return [str(Path(sys.executable).with_name("scenelet"))]


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    **{name: functools.partial(_row, name) for name in rows.ROWS},
    "networks": _networks,
    "cold": _cold,
    "long": _long,
    "bulk": bulk.measure,
    "drift": _drift,
}
"""Function that measures each part, from the folder of the inputs and the number of rounds."""


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
        "instructions": describe_best(),
        "cores": cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "compiler": agreement.has_compiler(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
