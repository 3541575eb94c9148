"""`python -m benchmarks.speed`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def bench(
    out: Annotated[Path, typer.Option(help="Folder for the page, benchmarks.md.")],
    only: Annotated[list[str] | None, typer.Option(help="Measure this part; may be given several times.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often the two sides take turns.")] = 7,
    data: Annotated[Path | None, typer.Option(help="Folder for the figures, speed.json; --out by default.")] = None,
) -> None:
    """Measure speed and memory beside the usual pipeline.

    And beside what the machine can do: leave it alone meanwhile.
    """
    from benchmarks.speed.run import bench as measure

    words = ["python", "-m", "benchmarks.speed", "--out", str(out)]
    words += [word for part in only or () for word in ("--only", part)]
    words += [] if rounds == 7 else ["--rounds", str(rounds)]
    words += [] if data is None else ["--data", str(data)]
    measure(out, only or (), rounds, shlex.join(words), data)
    print(out / "benchmarks.md")
