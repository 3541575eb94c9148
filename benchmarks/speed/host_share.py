"""Time the preparation of a training batch: the host's share if the features are on a device, and all of it on the CPU.

    python -m benchmarks.speed.host_share [--epochs 10]

A batch has the paper's size, and the augmentation and mixing of a recipe. For the first figure, PyTorch's "meta" device
stands in for a GPU. It computes shapes only, so the time is that of the draws, of their copies and of the dispatch of
every operation. The "meta" device computes many shapes in Python, which a GPU does not; a GPU launches kernels instead.
It prints a Markdown table of medians per batch.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks.speed import inputs
from scenelet.config.recipes import load_recipe
from scenelet.data.feature_cache import ClipFeatures
from scenelet.training.batches import LabelledFeatures, epoch_batches
from scenelet.training.window_loader import WindowLoader
from scenelet.utils.process import tune

CLIPS = 200  # their features do not fit into the caches of a processor
RECIPES = ("paper", "default")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    epochs = parser.parse_args().epochs
    tune()
    clips = labelled_features(CLIPS, inputs.SHAPE)
    on_cpu = WindowLoader(clips.features)
    on_device = WindowLoader(clips.features, torch.device("meta"), resident=True)
    print(
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, PyTorch {torch.__version__}\n"
    )
    print("| recipe | host's share, features on a device | everything on the CPU |\n|---|---|---|")
    for recipe in RECIPES:
        cells = (_spread(batch_seconds(clips, recipe, loader, epochs)) for loader in (on_device, on_cpu))
        print(f"| {recipe} | {' | '.join(cells)} |")


def labelled_features(clips: int, shape: tuple[int, int, int]) -> LabelledFeatures:
    """Return features of noise, one window of `shape` per clip."""
    noise = np.random.default_rng(0).standard_normal((clips, *shape), dtype=np.float32)
    features = ClipFeatures((10 * noise - 40).astype(np.float16), np.arange(clips), np.ones(clips, np.int64))
    return LabelledFeatures(features, np.arange(clips) % len(inputs.LABELS), len(inputs.LABELS))


def batch_seconds(clips: LabelledFeatures, recipe: str, windows: WindowLoader, epochs: int) -> list[float]:
    """Return the seconds that each batch takes. One more epoch is not timed."""
    batches = epoch_batches(
        clips, load_recipe(recipe, [f"schedule.batch_size={inputs.BATCH}", "mixing.epoch_fraction=1"])
    )
    list(replace(batches(0), windows=windows))
    return [seconds for epoch in range(epochs) for seconds in _timed(iter(replace(batches(epoch), windows=windows)))]


def _timed(batches: Iterator[object]) -> Iterator[float]:
    started = time.perf_counter()
    for _ in batches:
        yield time.perf_counter() - started
        started = time.perf_counter()


def _spread(seconds: list[float]) -> str:
    ms = [1000 * value for value in seconds]
    return f"{statistics.median(ms):.2f} ms ({min(ms):.2f}-{max(ms):.2f})"


if __name__ == "__main__":
    main()
