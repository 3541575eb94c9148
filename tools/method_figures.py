"""Draw the figures of docs/method.md from the code that computes the paper's equations.

    python tools/method_figures.py PRUNED.scn --out docs/method

The script writes norm.png, freqmix.png, loss.png and pruning.png into the folder, and the numbers of the text into
benchmarks/results/method_figures.json. PRUNED.scn is a pruned model, for the last figure. The files are the same on
every run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenelet.audio.log_mel import LogMel
from scenelet.config import FeatureConfig
from scenelet.data.synthetic.dataset import synthetic_clip
from scenelet.data.synthetic.scenes import SCENE_TYPES
from scenelet.data.synthetic.sounds import SAMPLE_RATE
from scenelet.model.file import read_model
from scenelet.model.ops import Conv
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.training.losses import ClassBalancedFocalLoss
from scenelet.training.mixing import Position, band_mask, freqmix

BLUE, ORANGE, GREY = "#1f6f8b", "#e07a3f", "#999999"
POSITIONS: tuple[Position, ...] = ("center", "start", "wrap", "between")
DRAWS, BANDS = 20_000, 64


def synthetic_log_mel() -> torch.Tensor:
    """Return the log-mel (clips, 1, 64, frames) of synthetic scenes: two locations of each class."""
    features = LogMel(FeatureConfig(sample_rate=SAMPLE_RATE, channels="mono", n_mels=BANDS, hop_length=1024))
    clips = [synthetic_clip(0, label, location, 0, 2.0) for label in SCENE_TYPES for location in range(2)]
    return torch.from_numpy(np.stack([features(clip.mean(0, keepdims=True).astype(np.float32)) for clip in clips]))


def draw_norms(axes: Any, x: torch.Tensor) -> dict[str, Any]:
    """Draw the mean and standard deviation of each mel band after each norm."""
    norms = {"batch norm": BatchNorm(1), "S = 2": SubSpectralNorm(1, 2), "S = 4": SubSpectralNorm(1, 4)}
    figures: dict[str, Any] = {}
    for axis, (name, norm) in zip(axes, norms.items(), strict=True):
        with torch.no_grad():
            y = norm.train()(x)
        mean, deviation = (values.numpy() for values in (y.mean((0, 1, 3)), y.std((0, 1, 3))))
        axis.axvline(0, color=GREY, linewidth=0.8)
        axis.fill_betweenx(np.arange(BANDS), mean - deviation, mean + deviation, color=BLUE, alpha=0.25, linewidth=0)
        axis.plot(mean, np.arange(BANDS), color=BLUE)
        sub_bands = getattr(norm, "sub_bands", 1)
        for edge in range(1, sub_bands):
            axis.axhline(edge * BANDS / sub_bands - 0.5, color=ORANGE, linestyle="--")
        axis.set(title=name, xlabel="mean of a band ± its deviation", ylabel="mel band")
        axis.set(xlim=(-3, 3), ylim=(0, BANDS - 1))
        halves = y.chunk(2, dim=2)
        figures[name] = {
            "mean of the lower half": _rounded(halves[0].mean()),
            "of the upper": _rounded(halves[1].mean()),
        }
    return figures


def draw_positions(axes: Any) -> dict[str, Any]:
    """One mask of each position from the same draw, and how often each band is the first clip's."""
    shares: dict[str, Any] = {}
    for row, position in enumerate(POSITIONS):
        mask = band_mask(BANDS, 0.8 * BANDS, 0.5 * BANDS, position)
        axes[0].barh(np.arange(BANDS), mask, left=1.2 * row, height=1.0, color=BLUE)
        axes[0].barh(np.arange(BANDS), ~mask, left=1.2 * row, height=1.0, color="#dddddd")
        rng = np.random.default_rng(0)
        masks = [band_mask(BANDS, rng.uniform(0, BANDS), BANDS * rng.beta(1, 1), position) for _ in range(DRAWS)]
        kept = np.mean(masks, axis=0)
        axes[1].plot(kept, np.arange(BANDS), label=f"{position}: {kept.mean():.3f} of all")
        shares[position] = _rounded(kept.mean())
    axes[0].axhline(0.8 * BANDS, color=ORANGE, linestyle="--")
    axes[0].set(title=r"$\lambda$ = 0.5, $r_y$ = 0.8 F (dashed)", ylabel="mel band", ylim=(0, BANDS))
    axes[0].set_xticks([0.5 + 1.2 * row for row in range(len(POSITIONS))], POSITIONS)
    axes[1].set(title="how often a band is clip A's", xlabel="share of the draws", xlim=(0, 1), ylim=(0, BANDS))
    axes[1].legend()
    return shares


def draw_mixture(axes: Any, x: torch.Tensor) -> dict[str, float]:
    """Draw two synthetic scenes and their mixture."""
    pair, labels = x[[0, 2]], torch.eye(2)
    for seed in range(100):  # the first draw of which a picture shows something
        mixed, y = freqmix(pair, labels, np.random.default_rng(seed))
        if 0.3 < float(y[0, 0]) < 0.7:
            break
    for axis, image, title in zip(
        axes, (pair[0], pair[1], mixed[0]), ("clip A", "clip B", f"mixed: {100 * float(y[0, 0]):.1f} % A"), strict=True
    ):
        axis.imshow(image[0], origin="lower", aspect="auto", cmap="magma")
        axis.set(title=title, xlabel="frame", ylabel="mel band")
    return {"share of A": _rounded(y[0, 0])}


def draw_loss(axes: Any) -> dict[str, Any]:
    """Draw the loss of a clip by its probability, and the weight of a class by its number of clips."""
    p = torch.linspace(0.01, 0.99, 99)
    logits, targets = torch.stack([torch.logit(p), torch.zeros_like(p)], dim=1), torch.zeros(1, dtype=torch.long)
    for gamma in (0.0, 1.0, 2.0):
        loss = ClassBalancedFocalLoss([1, 1], 0.0, gamma, "softmax")
        axes[0].plot(p, [float(loss(row[None], targets)) for row in logits], label=rf"$\gamma$ = {gamma:g}")
    axes[0].set(title="focal loss of one clip", xlabel="probability of its class", ylabel="loss")
    counts = np.unique(np.geomspace(1, 10_000, 60).astype(int))
    for beta in (0.9, 0.99, 0.999, 0.9999):
        axes[1].loglog(counts, ClassBalancedFocalLoss(counts.tolist(), beta, 0.0).weights, label=rf"$\beta$ = {beta:g}")
    axes[1].loglog(counts, 1 / counts, color=GREY, linestyle=":", label="1 / n")
    axes[1].set(title="weight of a class", xlabel="its training clips n", ylabel="weight")
    for axis in axes:
        axis.legend()
    paper = ClassBalancedFocalLoss([2704, 3757, 2724], 0.9999, 0.0, normalize=True)  # Table 2's training clips
    return {"weights at the paper's counts, beta 0.9999": [_rounded(w) for w in paper.weights]}


def draw_pruning(axis: Axes, path: Path) -> dict[str, Any]:
    """Draw the fraction of each convolution of a pruned model that is left."""
    model = read_model(path)
    names = list(dict.fromkeys(node.weight for node in model.nodes if isinstance(node, Conv)))
    kept = {name: float((model.arrays[name] != 0).mean()) for name in names}
    axis.bar(range(len(names)), [100 * kept[name] for name in names], color=BLUE)
    for index, name in enumerate(names):
        axis.text(index, 100 * kept[name] + 1, f"{model.arrays[name].size:,}", ha="center", fontsize=7, rotation=60)
    total = sum(model.arrays[name].size for name in names)
    left = sum(int((model.arrays[name] != 0).sum()) for name in names)
    axis.axhline(100 * left / total, color=ORANGE, linestyle="--", label=f"all: {100 * left / total:.1f} % kept")
    axis.set(title="kept of each convolution, and its weights", ylabel="kept, %", ylim=(0, 115))
    axis.set_xticks(range(len(names)), [name.removesuffix(".weight") for name in names], rotation=60, ha="right")
    axis.legend(loc="upper right")
    return {"kept": left, "of": total, "least": _rounded(min(kept.values())), "most": _rounded(max(kept.values()))}


def _rounded(value: Any) -> float:
    return round(float(value), 3) + 0.0  # no minus before a nought


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pruned", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/method_figures.json"))
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    x = synthetic_log_mel()
    figures: dict[str, Any] = {}

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figures["norms"] = draw_norms(figure.subplots(1, 3, sharey=True), x)
    figure.savefig(out / "norm.png", dpi=90)

    figure = Figure(figsize=(9, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    figures["mixture"] = draw_mixture(top.subplots(1, 3), x)
    figures["positions"] = draw_positions(bottom.subplots(1, 2))
    figure.savefig(out / "freqmix.png", dpi=90)

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    figures["loss"] = draw_loss(figure.subplots(1, 2))
    figure.savefig(out / "loss.png", dpi=90)

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figures["pruning"] = draw_pruning(figure.subplots(), options.pruned)
    figure.savefig(out / "pruning.png", dpi=90)

    text = json.dumps(figures, indent=2)
    options.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
