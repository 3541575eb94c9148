"""The whole way in a few minutes, on made scenes: train, compress, evaluate, predict; then the built-in model."""

from pathlib import Path
from typing import Any

from scenelet.config.recipes import load_recipe
from scenelet.data.synthetic.dataset import write_synthetic_dataset
from scenelet.evaluation.evaluate import evaluate
from scenelet.experiments.plan import check_demo_folder
from scenelet.inference.classifier import load
from scenelet.model import pretrained as models
from scenelet.training.compression.compress import compress
from scenelet.training.train import train
from scenelet.utils.console import print_message
from scenelet.utils.files import make_folder

BUILT_IN = "esc10"
EXAMPLE_LABEL = "dog"  # what its example is a recording of


def demo(out: Path, seed: int = 0) -> dict[str, Any]:
    """Make scenes, train on some places, and ship a file that is tested on places never heard.

    A demo that was killed goes on.

    Args:
        out: folder that gets `scenes/`, `run/`, `demo.scn` and `report/`; features are cached in it too.
        seed: of the scenes and of the training.

    Returns:
        "dense" and "compressed" macro accuracy on unseen places, "clips", "bytes", "file" and "prediction" of one
        recording, and "example" and "answer" of the model `BUILT_IN` that comes with scenelet.

    Raises:
        SceneletError: `out` is there already, and neither empty nor a demo that was killed.
    """
    built_in, example = models.built_in(BUILT_IN), models.example(BUILT_IN)
    assert built_in is not None, "an installation without its models"
    assert example is not None
    check_demo_folder(out)
    make_folder(out)
    print_message("1/5  making scenes: synthetic recordings of three kinds of places")
    scenes = write_synthetic_dataset(out / "scenes", seed)
    print_message("2/5  training")
    cache = out / "cache"
    train(scenes, out / "run", load_recipe("demo", [f"seed={seed}"]), recipe="demo", resume=True, cache_dir=cache)
    print_message("3/5  compressing")
    model = out / "demo.scn"
    compressed = compress(out / "run", model, cache_dir=cache)
    print_message("4/5  evaluating the file, without PyTorch, on places never heard in training")
    report = evaluate(str(model), scenes, out / "report")
    clip = _first_test_clip(scenes)
    print_message(f"5/5  asking {BUILT_IN}, which comes with scenelet, for a real recording")
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


def _first_test_clip(scenes: Path) -> Path:
    from scenelet.data.load import load_table

    return next(clip.path for clip in load_table(scenes).clips if clip.split == "test")
