"""`scenelet demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scenelet.classifier import Prediction


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes; must be new.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the scenes and of training.")] = 0,
) -> None:
    """Made scenes from recordings to a shipped file: train, compress, evaluate, predict; then the built-in model."""
    from scenelet.workflows.demo import BUILT_IN, EXAMPLE_LABEL
    from scenelet.workflows.demo import demo as run_demo

    result = run_demo(out, seed)
    print(f"made scenes, {result['clips']} clips from places never heard in training:")
    print(f"  macro accuracy before compression  {100 * result['dense']:.1f} %")
    print(f"  macro accuracy after compression   {100 * result['compressed']:.1f} %")
    print(f"  bytes on disk                      {result['bytes']:,}  {out / 'demo.scn'}")
    print(answer_line(result["file"], result["prediction"]))
    print(f"try it:  scenelet predict {out / 'demo.scn'} {result['file'].parent}")
    print()
    print(f"{BUILT_IN}, the model that comes with scenelet, on a real recording ({EXAMPLE_LABEL}) that it never heard:")
    print(answer_line(result["example"], result["answer"]))
    print(f"try it:  scenelet predict {BUILT_IN} {result['example']}")


def answer_line(file: Path, prediction: "Prediction") -> str:
    """What a recording was taken for, and the three most probable classes."""
    first = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{label} {share:.2f}" for label, share in first)
    return f"  {file}  ->  {prediction.label}  ({shares})"
