"""`scenelet demo`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scenelet.cli.options import Format, FormatOption, QuietOption
from scenelet.utils.console import spinner

if TYPE_CHECKING:
    from scenelet.inference.prediction import Prediction


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results, new or of an interrupted demo.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed of the scenes and of training.")] = 0,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Train and test a model on synthetic scenes in minutes.

    The demo trains, compresses, evaluates and predicts, and ends with
    a prediction of the built-in model on a real recording.
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
    print(f"synthetic scenes, {result['clips']} clips from locations not seen in training:")
    print(f"  macro accuracy before compression  {100 * result['dense']:.1f} %")
    print(f"  macro accuracy after compression   {100 * result['compressed']:.1f} %")
    print(f"  bytes on disk                      {result['bytes']:,}  {out / 'demo.scn'}")
    print(answer_line(result["file"], result["prediction"]))
    print(f"try it:  scenelet predict {out / 'demo.scn'} {result['file'].parent}")
    print()
    print(f"{BUILT_IN}, the built-in model, on a real recording ({EXAMPLE_LABEL}) not seen in training:")
    print(answer_line(result["example"], result["answer"]))
    print(f"try it:  scenelet predict {BUILT_IN} {result['example']}")


def answer_line(file: Path, prediction: "Prediction") -> str:
    """Format the predicted label of a recording and the three most probable classes."""
    first = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:3]
    probabilities = ", ".join(f"{label} {probability:.2f}" for label, probability in first)
    return f"  {file}  ->  {prediction.label}  ({probabilities})"


def _plain(value: Any) -> Any:
    """Convert a value of the demo's result for JSON."""
    if isinstance(value, Path):
        return str(value)
    return {"label": value.label, "probabilities": value.probabilities} if hasattr(value, "probabilities") else value
