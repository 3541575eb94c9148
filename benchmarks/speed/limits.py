"""Floors of an instruction set, and the differences between both sides, measured in a process of their own.

`python -m benchmarks.speed.limits FOLDER RUNTIME...` prints them as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from benchmarks.speed import agreement, floors
from benchmarks.speed.instruction_sets import BEST
from scenelet.inference.runtimes import RuntimeName
from scenelet.utils.process import tune


def measure(folder: Path, instructions: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return `{"floors": ..., "differences": ...}` of an instruction set. OpenVINO runs with the best one only."""
    runtimes = ("onnxruntime", "openvino") if instructions == BEST else ("onnxruntime",)
    command = [sys.executable, "-m", "benchmarks.speed.limits", str(folder), *runtimes]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    folder, runtimes = Path(sys.argv[1]), cast(list[RuntimeName], sys.argv[2:])
    tune()
    limits = floors.arithmetic() | floors.work(folder) | floors.libraries(folder)
    print(json.dumps({"floors": limits, "differences": agreement.largest_differences(folder, runtimes)}))


if __name__ == "__main__":
    main()
