"""What a network loses when one of its layers alone is pruned or rounded."""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from scenelet.nn import prune
from scenelet.nn.quantize import LEVELS, quantize
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.batches import LabelledFeatures
from scenelet.training.compression.sensitivity_report import LayerLoss
from scenelet.training.dataset import Dataset, evaluate_network, subset
from scenelet.utils.console import track

SPARSITIES = (0.5, 0.8, 0.9, 0.95)
CLIPS = 100  # as many as tell the layers apart; every layer is measured several times


def layer_losses(network: StandardizedNetwork, dataset: Dataset) -> list[LayerLoss]:
    """Log loss with one layer changed and all others whole, nothing fine-tuned; the first entry is the whole network's.

    Measured on validation clips, or, where there are none, on training clips; at most `CLIPS`, evenly spread.
    """
    clips = _spread(dataset.validation or dataset.train)

    def log_loss(changed: StandardizedNetwork) -> float:
        return float(evaluate_network(changed, clips, dataset.labels)["log_loss"])

    losses = [LayerLoss("whole", "", 0, log_loss(network))]
    pruned = prune.convolution_weights(network)
    weights = pruned | _dense_weights(network)
    for name, weight in track(weights.items(), "Sensitivity of layers", len(weights)):
        for change, values in _changes(weight.detach(), SPARSITIES if name in pruned else ()):
            trial = copy.deepcopy(network)
            with torch.no_grad():
                trial.get_parameter(name).copy_(values)
            layer = name.removeprefix("network.").removesuffix(".weight")
            losses.append(LayerLoss(layer, change, weight.numel(), log_loss(trial)))
    return losses


def _dense_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """They are rounded, but not pruned."""
    return {f"{name}.weight": layer.weight for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}


def _changes(weight: torch.Tensor, sparsities: Sequence[float]) -> Iterator[tuple[str, torch.Tensor]]:
    """What is done to a layer, and its weights then."""
    order = torch.argsort(weight.abs().flatten(), stable=True)
    for sparsity in sparsities:
        pruned = weight.flatten().clone()
        pruned[order[: round(sparsity * len(order))]] = 0
        yield f"{100 * sparsity:g} % pruned", pruned.view_as(weight)
    for dtype, levels in LEVELS.items():
        yield dtype, quantize(weight, levels)


def _spread(clips: LabelledFeatures) -> LabelledFeatures:
    return subset(clips, np.unique(np.linspace(0, len(clips) - 1, CLIPS).round().astype(int)))
