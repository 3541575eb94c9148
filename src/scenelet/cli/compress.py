"""`scenelet compress`."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenelet.errors import UsageError


class WeightType(StrEnum):
    """Number formats of a model file."""

    fp16 = "fp16"
    fp32 = "fp32"


def compress(
    run: Annotated[Path, typer.Argument(help="Run folder of scenelet train.")],
    out: Annotated[Path, typer.Option(help="Model file to write, NAME.scn.")],
    sparsity: Annotated[float | None, typer.Option(help="Share of convolution weights to prune.")] = None,
    budget: Annotated[str | None, typer.Option(help="Bytes on disk to fit, e.g. 500kB (1 kB = 1000 B).")] = None,
    dtype: Annotated[WeightType, typer.Option(help="How numbers are stored.")] = WeightType.fp16,
    data: Annotated[Path | None, typer.Option(help="The recordings, if they moved.")] = None,
    audio_dir: Annotated[Path | None, typer.Option(help="Where a CSV's files lie, if they moved.")] = None,
) -> None:
    """Prune, fine-tune and write the model file."""
    size = None if budget is None else parse_bytes(budget)

    from scenelet.workflows.compress import compress as run_compress

    result = run_compress(run, out, sparsity=sparsity, budget=size, dtype=dtype.value, data=data, audio_dir=audio_dir)
    print(f"{out}: {result['bytes']:,} bytes, {100 * result['sparsity']:.1f} % of the weights pruned")
    for side, dense in result["dense"].items():
        after = result["compressed"][side]
        print(
            f"{side}: macro accuracy {100 * dense['macro_accuracy']:.1f} % before,"
            f" {100 * after['macro_accuracy']:.1f} % after"
        )


def parse_bytes(text: str) -> int:
    """`"500kB"` -> 500000; B, kB and MB, 1 kB = 1000 B."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|MB)?\s*", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"--budget {text}: write it as a number of bytes, kB or MB, e.g. 500kB")
    factor = {"b": 1, "kb": 1000, "mb": 1000**2}[(match[2] or "B").lower()]
    return int(float(match[1]) * factor)
