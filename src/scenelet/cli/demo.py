"""`scenelet demo`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenelet.cli.options import Format
from scenelet.utils.console import spinner

if TYPE_CHECKING:
    from scenelet.inference.prediction import Prediction


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that the demo makes; new, or where one was killed.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Of the scenes and of training.")] = 0,
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.table,
) -> None:
    """Train on made scenes, and ship a file that is tested.

    Everything on the way: train, compress, evaluate, predict; then the model that comes with scenelet.
    """
    from scenelet.experiments.plan import check_demo_folder

    check_demo_folder(out)
    with spinner("Loading PyTorch"):
        from scenelet.experiments.demo import BUILT_IN, EXAMPLE_LABEL
        from scenelet.experiments.demo import demo as run_demo

    result = run_demo(out, seed)
    if format is Format.json:
        print(json.dumps({key: _plain(value) for key, value in result.items()}, indent=2))
        return
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


def _plain(value: Any) -> Any:
    """A value of the demo's result as JSON has it."""
    if isinstance(value, Path):
        return str(value)
    return {"label": value.label, "probabilities": value.probabilities} if hasattr(value, "probabilities") else value
