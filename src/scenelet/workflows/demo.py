"""The whole way in a few minutes, on made scenes: train, compress, evaluate, predict."""

from pathlib import Path
from typing import Any

from scenelet.classifier import load
from scenelet.console import say
from scenelet.data.scenes import make_scenes
from scenelet.files import make_folder
from scenelet.recipes import load_recipe
from scenelet.workflows.compress import compress
from scenelet.workflows.evaluate import evaluate
from scenelet.workflows.fit import fit


def demo(out: Path, seed: int = 0) -> dict[str, Any]:
    """Make scenes, train on some places, and ship a file that is tested on places never heard.

    Args:
        out: folder that gets `scenes/`, `run/`, `demo.scn` and `report/`; features are cached in it too.
        seed: of the scenes and of the training.

    Returns:
        "dense" and "compressed" macro accuracy on unseen places, "clips", "bytes", and "file"
        and "prediction" of one recording.

    Raises:
        SceneletError: `out` holds a run already.
    """
    make_folder(out)
    say("1/4  making scenes: synthetic recordings of three kinds of places")
    scenes = make_scenes(out / "scenes", seed)
    say("2/4  training")
    cache = out / "cache"
    fit(scenes, out / "run", load_recipe("demo", [f"seed={seed}"]), recipe="demo", cache_dir=cache)
    say("3/4  compressing")
    model = out / "demo.scn"
    compressed = compress(out / "run", model, cache_dir=cache)
    say("4/4  evaluating the file, without PyTorch, on places never heard in training")
    report = evaluate(str(model), scenes, out / "report")
    clip = _first_test_clip(scenes)
    return {
        "dense": compressed["dense"]["test"]["macro_accuracy"],
        "compressed": report["macro_accuracy"],
        "clips": report["clips"],
        "bytes": compressed["bytes"],
        "file": clip,
        "prediction": load(model).predict(clip),
    }


def _first_test_clip(scenes: Path) -> Path:
    from scenelet.data.sources import load_table

    return next(clip.path for clip in load_table(scenes).clips if clip.split == "test")
