"""Run one side of a benchmark in its own process, with its own memory, threads and settings.

`python -m benchmarks.speed.worker SIDE ROW FOLDER` builds the step of the row and runs it twice to warm up. Each line
of its input is a number of runs. The worker runs the step that often, and prints the seconds of each run.
"""

import importlib
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Answer each line until the input ends."""
    side, row, folder = sys.argv[1:]
    step = importlib.import_module(f"benchmarks.speed.{side}").build(row, Path(folder))
    for _ in range(2):
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
