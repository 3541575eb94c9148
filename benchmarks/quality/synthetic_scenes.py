"""Measure how hard the synthetic scenes are: linear baselines on band statistics, and the network, for several seeds.

    python -m benchmarks.quality.synthetic_scenes --seeds 5 --json made_scenes.json [--network]

It prints a Markdown table of the accuracy on locations that are not in training. All numbers are about synthetic
recordings. It needs the extra `[train]`.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.data.load import load_table
from scenelet.data.synthetic.dataset import write_synthetic_dataset

MEANS = "band means"
DEVIATIONS = "band means and deviations"
NETWORK = "network"


def band_statistics(
    scenes: Path, config: FeatureConfig
) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.bool_]]:
    """Return means and standard deviations of log-mel bands (clips, features), labels, and a mask of test clips."""
    table = load_table(scenes)
    transform = LogMel(config)
    rows = []
    for clip in table.clips:
        window = next(windows(clip.path, config, WindowConfig(seconds=4.0)))
        bands = transform(window)
        rows.append(np.concatenate([bands.mean(axis=2).ravel(), bands.std(axis=2).ravel()]))
    labels = np.array([clip.label for clip in table.clips])
    return np.stack(rows), labels, np.array([clip.split == "test" for clip in table.clips])


def linear_accuracy(features: NDArray[np.float32], labels: NDArray[np.str_], test: NDArray[np.bool_]) -> float:
    """Return the test accuracy of logistic regression on standardized features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit(features[~test], labels[~test])
    return float(model.score(features[test], labels[test]))


def network_accuracy(scenes: Path, seed: int, recipe: str, work: Path) -> float:
    """Return the test accuracy of the network of a recipe, before compression."""
    from scenelet.config.recipes import load_recipe
    from scenelet.training.train import train

    os.environ["SCENELET_CACHE"] = str(work / "cache")
    config = load_recipe(recipe, [f"seed={seed}"])
    metrics = train(scenes, work / "run", config, recipe=recipe)
    return float(metrics["test"]["accuracy"])


def measure(seed: int, channels: str, recipe: str | None) -> dict[str, float]:
    """Return all numbers of one data seed; a `recipe` of None leaves the network out."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        scenes = write_synthetic_dataset(Path(folder) / "scenes", seed)
        figures: dict[str, float] = {"seed": seed, "seconds to make": time.perf_counter() - started}
        statistics, labels, test = band_statistics(scenes, FeatureConfig(channels=channels))
        figures["test clips"] = int(test.sum())
        figures[MEANS] = linear_accuracy(statistics[:, : statistics.shape[1] // 2], labels, test)
        figures[DEVIATIONS] = linear_accuracy(statistics, labels, test)
        if recipe is not None:
            figures[NETWORK] = network_accuracy(scenes, seed, recipe, Path(folder))
    return figures


def markdown(results: list[dict[str, float]]) -> str:
    """Return a Markdown table with a row for each seed and the mean, with accuracies in percent."""
    methods = [name for name in (MEANS, DEVIATIONS, NETWORK) if name in results[0]]
    head = ["data seed", "test clips", *(f"{name}, %" for name in methods), "seconds to make"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in results:
        shown = [f"{100 * row[name]:.1f}" for name in methods]
        lines.append(" | ".join([f"{row['seed']}", f"{row['test clips']}", *shown, f"{row['seconds to make']:.1f}"]))
    means = [f"**{100 * np.mean([row[name] for row in results]):.1f}**" for name in methods]
    lines.append(" | ".join(["**mean**", "", *means, ""]))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    """Measure every seed, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="data seeds 0, 1, ...")
    parser.add_argument("--channels", choices=("mono", "stereo", "mid-side"), default="mono", help="of the baselines")
    parser.add_argument("--network", action="store_true", help="train the network too, minutes a seed")
    parser.add_argument("--recipe", default="demo", help="what --network trains")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    recipe = options.recipe if options.network else None
    results = [measure(seed, options.channels, recipe) for seed in range(options.seeds)]
    print(markdown(results))
    if options.json is not None:
        part = options.json.with_name(options.json.name + ".part")
        record = {
            "data": "synthetic, made by scenelet",
            "channels": options.channels,
            "recipe": recipe,
            "seeds": results,
        }
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        os.replace(part, options.json)


if __name__ == "__main__":
    main()
