"""Sensitivity of layers: the loss of a network when a single layer is pruned or rounded."""

import copy
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from scenelet.model.device_files import SUFFIX
from scenelet.nn import prune
from scenelet.nn.quantize import LEVELS, quantize
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.dataset import Dataset, subset
from scenelet.training.measure import evaluate_network
from scenelet.utils.console import track
from scenelet.utils.files import csv_text

SPARSITIES = (0.5, 0.8, 0.9, 0.95)
MAX_CLIPS = 100  # enough to rank the layers; every layer is measured several times
UNCHANGED = "none"


@dataclass(frozen=True)
class LayerLoss:
    """Log loss of a network with one changed layer."""

    layer: str  # name of the layer; `UNCHANGED` for the unchanged network
    change: str  # "80 % pruned", "int8" and so on
    weights: int  # number of weights of the layer
    log_loss: float


def layer_losses(network: StandardizedNetwork, dataset: Dataset, max_clips: int = MAX_CLIPS) -> list[LayerLoss]:
    """Measure the log loss with each layer changed in turn, without fine-tuning. The first entry changes no layer.

    The clips are at most `max_clips` validation clips at equal distances, or training clips if there are no
    validation clips.
    """
    all_clips = dataset.validation or dataset.train
    rows = np.unique(np.linspace(0, len(all_clips) - 1, max_clips).round().astype(int))
    clips = subset(all_clips, rows)

    def log_loss(changed: StandardizedNetwork) -> float:
        return float(evaluate_network(changed, clips, dataset.labels)["log_loss"])

    losses = [LayerLoss(UNCHANGED, "", 0, log_loss(network))]
    pruned = prune.convolution_weights(network)
    # the weights of dense layers are rounded but not pruned
    dense = {name: layer.weight for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}
    weights = pruned | {f"{name}.weight": weight for name, weight in dense.items()}
    for name, weight in track(weights.items(), "Sensitivity of layers", len(weights)):
        for change, values in _changes(weight.detach(), SPARSITIES if name in pruned else ()):
            trial = copy.deepcopy(network)
            with torch.no_grad():
                trial.get_parameter(name).copy_(values)
            layer = name.removeprefix("network.").removesuffix(".weight")
            losses.append(LayerLoss(layer, change, weight.numel(), log_loss(trial)))
    return losses


def sensitivity_files(model: Path, losses: Sequence[LayerLoss]) -> dict[Path, bytes | str]:
    """Return the content of `NAME.sensitivity.csv` and `.png`, next to the file `NAME.scn` or the folder `NAME`."""
    name = model.stem if model.suffix == SUFFIX else model.name
    table, picture = (model.with_name(f"{name}.sensitivity.{kind}") for kind in ("csv", "png"))
    text = csv_text([field.name for field in fields(LayerLoss)], map(astuple, losses))
    return {picture: _plot(losses), table: text}


def _changes(weight: torch.Tensor, sparsities: Sequence[float]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the name of each change and the changed weights."""
    order = torch.argsort(weight.abs().flatten(), stable=True)
    for sparsity in sparsities:
        pruned = weight.flatten().clone()
        pruned[order[: round(sparsity * len(order))]] = 0
        yield f"{100 * sparsity:g} % pruned", pruned.view_as(weight)
    for dtype, levels in LEVELS.items():
        yield dtype, quantize(weight, levels)


def _plot(losses: Sequence[LayerLoss]) -> bytes:
    """Draw a row per layer and a column per change. The color is the increase of the log loss."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    unchanged, *changed = losses
    layers = list(dict.fromkeys(loss.layer for loss in changed))
    changes = list(dict.fromkeys(loss.change for loss in changed))
    increase = {(loss.layer, loss.change): loss.log_loss - unchanged.log_loss for loss in changed}
    weights = {loss.layer: loss.weights for loss in changed}
    grid = [[max(increase.get((layer, change), math.nan), 1e-4) for change in changes] for layer in layers]
    figure = Figure(figsize=(3 + 1.1 * len(changes), 1.6 + 0.3 * len(layers)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="magma_r", norm=LogNorm(1e-3, 3, clip=True))
    axes.set_xticks(range(len(changes)), changes)
    axes.set_yticks(range(len(layers)), [f"{layer} ({weights[layer]:,})" for layer in layers])
    for row, layer in enumerate(layers):
        for column, change in enumerate(changes):
            if (value := increase.get((layer, change))) is not None:  # dense layers are not pruned
                color = "white" if value > 0.2 else "black"
                axes.text(column, row, f"{value:+z.3f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_title(f"increase of the log loss from {unchanged.log_loss:.3f}, one layer changed", fontsize=10)
    figure.colorbar(image, ax=axes)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
