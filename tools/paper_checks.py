"""Check that each part of the paper's system has its effect: figures and numbers for docs/parts.md.

    scenelet reproduce table3 ESC10 && scenelet reproduce imbalance ESC10
    python tools/paper_checks.py ESC10 --store reproduce --out docs/parts

Looks into the networks that these tables trained (fold 1, seed 0, budget small), and writes norm.png,
sharing.png, freqmix.png, loss.png and parts.json.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from scenelet.config import run_folder as runs
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.experiments.store import Store
from scenelet.experiments.systems import load_systems
from scenelet.experiments.trial import make_trial
from scenelet.nn import create_model
from scenelet.nn.norm import SubSpectralNorm
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.losses import ClassBalancedFocalLoss
from scenelet.training.mixing import freqmix
from scenelet.training.network import load_network

FOLD, BUDGET = "1", "comparison"
LOW, HIGH, GREY = "#1f6f8b", "#e07a3f", "#999999"
WITH_SSN = "Shared-ResNet(N=3) + FreqMix + SSN(S=2)"
WITHOUT = "Shared-ResNet(N=3) + FreqMix"


def sub_band_statistics(x: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and standard deviations (2, channels) of the lower and upper bands of (batch, channels, F, T)."""
    halves = [half.transpose(0, 1).flatten(1) for half in x.double().chunk(2, dim=2)]
    return torch.stack([h.mean(1) for h in halves]).numpy(), torch.stack([h.std(1) for h in halves]).numpy()


def unevenness(x: Tensor, live: NDArray[np.bool_]) -> dict[str, float]:
    """Measure how the two halves of the bands differ, over the channels that are not silent.

    Returns:
        "deviation": the geometric mean of the ratio of the larger to the smaller standard deviation. "mean": the mean
        distance of the two means, in units of the channel's standard deviation.
    """
    means, deviations = (values[:, live] for values in sub_band_statistics(x))
    overall = x.double().transpose(0, 1).flatten(1).std(1).numpy()[live]
    return {
        "deviation": float(np.exp(np.abs(np.log(deviations[0] / deviations[1])).mean())),
        "mean": float((np.abs(means[0] - means[1]) / overall).mean()),
    }


def look_at_norms(run: Path, dataset: Dataset) -> dict[str, dict[str, dict[str, float]]]:
    """Return the unevenness before and after each norm, by layer, over the test clips."""
    network = load_network(run, runs.read_record(run))
    seen: dict[str, dict[str, dict[str, float]]] = {}

    def hook(name: str, norm: SubSpectralNorm) -> Any:
        def look(_: nn.Module, inputs: tuple[Tensor, ...], __: Tensor) -> None:
            x = inputs[0]
            live = (sub_band_statistics(x)[1] > 1e-6).all(axis=0)
            seen[name] = {"before": unevenness(x, live), "after": unevenness(_normalize(norm, x), live)}

        return look

    for name, module in network.network.named_modules():
        if isinstance(module, SubSpectralNorm):
            module.register_forward_hook(hook(name, module))
    assert dataset.test is not None
    with torch.no_grad():
        network(torch.from_numpy(dataset.test.features.load(dataset.test.features.rows())))
    return seen


def _normalize(norm: SubSpectralNorm, x: Tensor) -> Tensor:
    """Apply only the norm, without the residual and the ReLU that follow it."""
    rows = x.shape[2] // norm.sub_bands
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    wide = [values.T.repeat_interleave(rows, dim=1)[None, :, :, None] for values in (scale, shift)]
    return x * wide[0] + wide[1]


def draw_norms(rows: Any, networks: dict[str, dict[str, dict[str, dict[str, float]]]]) -> None:
    """Draw a row of panels for each measure, for the network with SSN and the one with batch norm."""
    labels = {"deviation": "larger / smaller deviation", "mean": "distance of means / deviation"}
    for axes, (measure, label) in zip(rows, labels.items(), strict=True):
        for axis, (title, found) in zip(axes, networks.items(), strict=True):
            positions = np.arange(len(found))
            for offset, when, color in ((-0.2, "before", GREY), (0.2, "after", LOW)):
                heights = [entry[when][measure] for entry in found.values()]
                axis.bar(positions + offset, heights, 0.4, label=when, color=color)
            axis.set_ylim(bottom=1 if measure == "deviation" else 0)  # the value of equal bands
            axis.set_xticks(positions, [name.split(".")[0] for name in found])
            axis.set(title=title, ylabel=label)
            axis.legend()


def parameters() -> dict[int, dict[str, int]]:
    """Count the parameters with and without sharing for each N (10 classes, stereo)."""
    return {
        repeats: {
            name: sum(
                p.numel()
                for p in create_model("shared_resnet", num_classes=10, repeats=repeats, shared=shared).parameters()
            )
            for name, shared in (("shared", True), ("not shared", False))
        }
        for repeats in (1, 2, 3, 4)
    }


def draw_parameters(axis: Axes, counts: dict[int, dict[str, int]]) -> None:
    """Bars over N."""
    for offset, name, color in ((-0.2, "not shared", GREY), (0.2, "shared", LOW)):
        axis.bar([n + offset for n in counts], [counts[n][name] / 1000 for n in counts], 0.4, label=name, color=color)
    axis.set(xlabel="passes N", ylabel="thousand parameters", title="what sharing saves")
    axis.set_xticks(list(counts))
    axis.legend()


def draw_freqmix(axes: Any, dataset: Dataset) -> dict[str, Any]:
    """Draw two training clips and the clip that FreqMix makes of them."""
    clips = dataset.split.train
    first = next(i for i, clip in enumerate(clips) if clip.label == "rain")
    second = next(i for i, clip in enumerate(clips) if clip.label == "rooster")
    x = torch.from_numpy(dataset.train.features.load(dataset.train.features.first[[first, second]]))
    y = torch.eye(2)
    for seed in range(1000):  # the first draw whose band lies in the middle, so that a picture shows it
        mixed, label = freqmix(x, y, np.random.default_rng(seed))
        kept = (mixed[0, 0] == x[0, 0]).all(dim=1)
        if kept.any() and not (kept[0] or kept[-1] or kept.all()) and 0.3 < float(label[0, 0]) < 0.7:
            break
    else:
        raise RuntimeError("no such draw")
    share = float(label[0, 0])
    assert abs(share - float(kept.float().mean())) < 1e-6  # the label is the fraction of bands that are kept
    titles = (clips[first].label, clips[second].label, f"{100 * share:.1f} % rain, {100 * (1 - share):.1f} % rooster")
    for axis, spectrogram, title in zip(axes, (x[0, 0], x[1, 0], mixed[0, 0]), titles, strict=True):
        axis.imshow(spectrogram, origin="lower", aspect="auto", cmap="magma", vmin=-60, vmax=20)
        axis.set(title=title, xlabel="frame", ylabel="mel band")
    return {"share_of_first": share, "bands_kept": round(share * x.shape[2]), "bands": x.shape[2]}


def draw_loss(axes: Any, table: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    """Class weights, and accuracy of each class from frequent to rare, over all folds."""
    labels = sorted(counts)
    weights = {
        beta: ClassBalancedFocalLoss([counts[label] for label in labels], beta, 1.0, normalize=True).weights.tolist()
        for beta in (0.9, 0.99, 0.9999)
    }
    for beta, values in weights.items():
        axes[0].plot(values, "o-", label=f"beta {beta:g}")
    axes[0].set(title="weights of Eq. 2, scaled to a mean of 1", ylabel="weight")
    axes[0].legend()
    rows = {row["name"]: row for row in table["rows"]}
    shown = {"cross-entropy": GREY, "class-balanced focal (sigmoid, beta 0.9999, gamma 1)": HIGH}
    for name, color in shown.items():
        axes[1].plot([100 * rows[name]["per_class"][label]["value"] for label in labels], "o-", label=name, color=color)
    axes[1].set(title="accuracy of each class over all folds, %", ylim=(0, 102))
    axes[1].legend()
    for axis in axes:  # the numbers are fold 1's training clips; the other folds' are alike
        axis.set_xticks(range(len(labels)), [f"{label} ({counts[label]})" for label in labels], rotation=60, ha="right")
    halves = {
        name: {
            part: float(np.mean([rows[name]["per_class"][label]["value"] for label in labels[cut]]))
            for part, cut in (("five frequent classes", slice(0, 5)), ("five rare classes", slice(5, 10)))
        }
        for name in rows
    }
    return {
        "train_counts": counts,
        "weights": {str(beta): values for beta, values in weights.items()},
        "halves": halves,
    }


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--store", type=Path, default=Path("reproduce"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/parts.json"), help="file for the figures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table = load_table(options.data)
    store = Store(options.store, table)
    table3, imbalance = load_systems("table3"), load_systems("imbalance")
    trials = {
        "SubSpectral norm, S=2": make_trial(table3, WITH_SSN, BUDGET, FOLD),
        "batch norm": make_trial(table3, WITHOUT, BUDGET, FOLD),
    }
    dataset = load_dataset(table, trials["batch norm"].config)
    uneven = make_split(table, make_trial(imbalance, "cross-entropy", BUDGET, FOLD).config.split)
    figures: dict[str, Any] = {}

    figure = Figure(figsize=(10, 6), layout="constrained")
    figures["norms"] = {title: look_at_norms(store.run_folder(trial), dataset) for title, trial in trials.items()}
    draw_norms(figure.subplots(2, 2, sharey="row"), figures["norms"])
    figure.savefig(options.out / "norm.png", dpi=90)

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    figures["parameters"] = parameters()
    draw_parameters(figure.subplots(), figures["parameters"])
    figure.savefig(options.out / "sharing.png", dpi=90)

    figure = Figure(figsize=(10, 3), layout="constrained")
    figures["freqmix"] = draw_freqmix(figure.subplots(1, 3), dataset)
    figure.savefig(options.out / "freqmix.png", dpi=90)

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    comparison = json.loads((options.store / f"imbalance-{BUDGET}.json").read_text())
    counts = dict(sorted(Counter(clip.label for clip in uneven.train).items()))
    figures["loss"] = draw_loss(figure.subplots(1, 2), comparison, counts)
    figure.savefig(options.out / "loss.png", dpi=90)

    options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
