"""`scenelet demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes; must be new.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the scenes and of training.")] = 0,
) -> None:
    """Made scenes from recordings to a shipped file: train, compress, evaluate, predict."""
    from scenelet.workflows.demo import demo as run_demo

    result = run_demo(out, seed)
    prediction = result["prediction"]
    print(f"made scenes, {result['clips']} clips from places never heard in training:")
    print(f"  macro accuracy before compression  {100 * result['dense']:.1f} %")
    print(f"  macro accuracy after compression   {100 * result['compressed']:.1f} %")
    print(f"  bytes on disk                      {result['bytes']:,}  {out / 'demo.scn'}")
    shares = ", ".join(f"{label} {share:.2f}" for label, share in prediction.probabilities.items())
    print(f"  {result['file']}  ->  {prediction.label}  ({shares})")
    print(f"try it:  scenelet predict {out / 'demo.scn'} {result['file'].parent}")
