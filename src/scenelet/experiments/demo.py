"""The demo: train, compress, evaluate and predict in a few minutes, on synthetic scenes."""

from pathlib import Path
from typing import Any

from scenelet.config.recipes import load_recipe
from scenelet.data.load import load_table
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.evaluation.evaluate import evaluate
from scenelet.experiments.plan import check_demo_folder
from scenelet.inference.classifier import load
from scenelet.model import pretrained
from scenelet.training.compression.compress import compress
from scenelet.training.train import train
from scenelet.utils.console import print_message
from scenelet.utils.files import make_folder

BUILT_IN = "esc10"
EXAMPLE_LABEL = "dog"  # label of its example recording


def demo(out: Path, seed: int = 0) -> dict[str, Any]:
    """Train on synthetic scenes, and test the compressed model on locations that were not seen in training.

    An interrupted demo is resumed.

    Args:
        out: folder for `scenes/`, `run/`, `demo.scn` and `report/`.
        seed: seed of the scenes and of the training.

    Returns:
        "dense" and "compressed" macro accuracy on unseen locations, "clips", "bytes", "file" and "prediction" of one
        recording, and "example" and "answer" of the built-in model `BUILT_IN`.

    Raises:
        SceneletError: `out` exists, and is neither empty nor an interrupted demo.
    """
    built_in, example = pretrained.built_in(BUILT_IN), pretrained.example(BUILT_IN)
    assert built_in is not None, "this installation has no built-in models"
    assert example is not None
    check_demo_folder(out)
    make_folder(out)
    print_message("1/5  Writing synthetic scenes of three classes (indoor, outdoor, transportation)")
    scenes = write_synthetic_dataset(out / "scenes", seed)
    print_message("2/5  Training a small network")
    train(scenes, out / "run", load_recipe("demo", [f"seed={seed}"]), recipe="demo", resume=True)
    print_message("3/5  Compressing the network to a model file")
    model = out / "demo.scn"
    compressed = compress(out / "run", model)
    print_message("4/5  Evaluating the model file, without PyTorch, on locations not seen in training")
    report = evaluate(str(model), scenes, out / "report")
    clip = next(clip.path for clip in load_table(scenes).clips if clip.split == "test")
    print_message(f"5/5  Classifying a real recording with the built-in model {BUILT_IN}")
    return {
        "dense": compressed["dense"]["test"]["macro_accuracy"],
        "compressed": report["macro_accuracy"],
        "clips": report["clips"],
        "bytes": compressed["bytes"],
        "file": clip,
        "prediction": load(model).predict(clip),
        "example": example,
        "answer": load(built_in).predict(example),
    }
