"""`python -m benchmarks.speed`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def bench(
    out: Annotated[Path, typer.Option(help="Folder for benchmarks.md and benchmarks.json.")],
    only: Annotated[list[str] | None, typer.Option(help="Measure this part; may be given several times.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often the two sides take turns.")] = 7,
) -> None:
    """Measure speed and memory beside the usual pipeline.

    And beside what the machine can do: leave it alone meanwhile.
    """
    from benchmarks.speed.run import bench as measure

    words = ["scenelet", "benchmarks", "--out", str(out), *(word for part in only or () for word in ("--only", part))]
    words += [] if rounds == 7 else ["--rounds", str(rounds)]
    measure(out, only or (), rounds, shlex.join(words))
    print(out / "benchmarks.md")
