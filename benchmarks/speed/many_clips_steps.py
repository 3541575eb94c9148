"""Steps of `benchmarks.speed.many_clips`. Each runs in a process of its own: `python -m ... STEP ROOT`."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe

MODEL = "model.scn"
Work = Callable[[], Any]


def settings() -> RunConfig:
    """Return the recipe `low_complexity` with windows of 1 s."""
    return load_recipe("low_complexity", ["window.seconds=1", "split.validation_fraction=0"])


def table(root: Path) -> Work:
    """Read the table, find the files, and split."""
    from scenelet.data.load import load_table
    from scenelet.data.splits import make_split

    return lambda: make_split(load_table(root), settings().split)


def features(root: Path) -> Work:
    """Return the features of all clips, from the cache if they are there."""
    from scenelet.data.feature_cache import load_features
    from scenelet.data.load import load_table

    config, clips = settings(), load_table(root).clips
    return lambda: load_features(clips, root, config.features, config.window)


def statistics(root: Path) -> Work:
    """Compute mean and deviation of the bands, as before the first epoch."""
    from scenelet.data.feature_cache import band_statistics

    cached = features(root)()
    return lambda: band_statistics(cached)


def epoch(root: Path) -> Work:
    """Draw, load, augment and mix the batches of one epoch on the CPU, without a network."""
    import torch

    from scenelet.data.load import load_table
    from scenelet.training.batches import LabelledFeatures, class_indices, epoch_batches

    torch.set_num_threads(1)
    loaded, config = load_table(root), settings()
    targets = class_indices(loaded.clips, loaded.labels)
    clips = LabelledFeatures(features(root)(), targets, len(loaded.labels))
    batches = epoch_batches(clips, config)
    return lambda: sum(len(x) for x, _ in batches(0))


STEPS: dict[str, Callable[[Path], Work]] = {
    "table": table,
    "cache": features,
    "cached": features,
    "statistics": statistics,
    "epoch": epoch,
}


def write_random_model(path: Path) -> None:
    """Write a model of the recipe with its initial weights."""
    from scenelet.data.tau import SCENES
    from scenelet.model.file import write_model
    from scenelet.nn.convert import to_scene_model
    from scenelet.training.network import build_blank_network

    config = settings()
    network = build_blank_network(config, len(SCENES)).eval()
    labels = tuple(sorted(scene for scene, *_ in SCENES))
    write_model(to_scene_model(network, labels, config.features, config.window), path)


def main() -> None:
    """Run one step, and print its wall and processor seconds without those of imports and of what it needs."""
    step, root = sys.argv[1], Path(sys.argv[2])
    if step == MODEL:
        write_random_model(root / MODEL)
        return
    work = STEPS[step](root)
    started, before = time.perf_counter(), os.times()
    work()
    seconds, after = time.perf_counter() - started, os.times()
    print(json.dumps({"seconds": seconds, "cpu_seconds": sum(after[:4]) - sum(before[:4])}))


if __name__ == "__main__":
    main()
