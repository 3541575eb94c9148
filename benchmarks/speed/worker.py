"""Run one side of a benchmark in its own process, with its own memory, threads and settings.

`python -m benchmarks.speed.worker MODULE ROW FOLDER ALLOCATOR` builds the step of the row and runs it twice to warm up,
or once if it takes seconds. Each line of its input is a number of runs. The worker runs the step that often, and prints
the seconds of each run. The allocator is "tuned", as in every command of scenelet, or "default".
"""

import importlib
import json
import sys
import time
from pathlib import Path

from scenelet.utils.process import tune

MAX_WARM_UP_SECONDS = 8.0


def main() -> None:
    """Answer each line until the input ends."""
    module, row, folder, allocator = sys.argv[1:]
    if allocator == "tuned":
        tune()
    step = importlib.import_module(f"benchmarks.speed.{module}").build(row, Path(folder))
    started = time.perf_counter()
    step()
    if time.perf_counter() - started < MAX_WARM_UP_SECONDS:
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
