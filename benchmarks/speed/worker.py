"""One side of a benchmark in a process of its own, so that neither sees the other's memory, threads or settings.

`python -m benchmarks.speed.worker SIDE ROW PLACE` builds the row's step, runs it twice to warm up, and then, for
every line it reads, runs it as often as the line says and answers with the seconds of each run.
"""

import importlib
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Serve until the input ends."""
    side, row, place = sys.argv[1:]
    step = importlib.import_module(f"benchmarks.speed.{side}").build(row, Path(place))
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
