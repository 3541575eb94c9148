"""Command line of the speed benchmark.

    python -m benchmarks.speed --out docs [--only cold --only long ...]

It measures speed and memory of scenelet, of a usual pipeline of librosa and PyTorch, and the limits of the machine. It
writes `benchmarks.md` and `speed.json`. It needs librosa, which the extra `[dev]` installs.
"""

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def bench(
    out: Annotated[Path, typer.Option(help="Folder for the page, benchmarks.md.")],
    only: Annotated[list[str] | None, typer.Option(help="Measure this part; may be given several times.")] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds in which scenelet and the reference take turns.")
    ] = 7,
    data: Annotated[Path | None, typer.Option(help="Folder for the results, speed.json; --out by default.")] = None,
) -> None:
    """Compare speed and memory with a usual pipeline and with the limits of the machine.

    Run nothing else on the machine during the measurement.
    """
    if importlib.util.find_spec("librosa") is None:
        sys.exit('error: the reference pipeline needs librosa; install it with: pip install ".[dev]"')
    from benchmarks.speed.run import bench as measure

    words = ["python", "-m", "benchmarks.speed", "--out", str(out)]
    words += [word for part in only or () for word in ("--only", part)]
    words += [] if rounds == 7 else ["--rounds", str(rounds)]
    words += [] if data is None else ["--data", str(data)]
    measure(out, only or (), rounds, shlex.join(words), data)
    print(out / "benchmarks.md")


if __name__ == "__main__":
    typer.run(bench)
