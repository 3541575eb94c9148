"""Fine-tuning with the weights that a model file will hold: pruned by a mask, and rounded to an integer format.

Each convolution and dense layer gets a parametrization (`torch.nn.utils.parametrize`). The forward pass, the evaluation
and the export read `layer.weight` and get the pruned and rounded weight. The optimizer changes the original.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from scenelet.nn.prune import l1_masks
from scenelet.nn.quantize import LEVELS, WeightFormat, quantize


class StoredWeight(nn.Module):
    """Parametrization of a weight: pruned, and rounded unless `levels` is None.

    The gradient passes the rounding unchanged (straight-through, Bengio et al. 2013). Pruned weights get none.

    >>> layer = nn.Linear(3, 1, bias=False)
    >>> layer.weight.data = torch.tensor([[0.26, -1.0, 0.5]])
    >>> stored = StoredWeight(layer.weight, levels=7)
    >>> stored.mask[0, 2] = False
    >>> stored(layer.weight).tolist()
    [[0.25, -1.0, 0.0]]
    """

    mask: Tensor

    def __init__(self, weight: Tensor, levels: int | None) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("mask", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the pruned and rounded weight."""
        pruned = weight * self.mask
        if self.levels is None:
            return pruned
        rounded: Tensor = _Round.apply(pruned, self.levels)  # type: ignore[no-untyped-call]
        return rounded


class _Round(torch.autograd.Function):
    """`quantize` with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, levels: int) -> Tensor:
        return quantize(weight, levels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def add_stored_weights(network: nn.Module, dtype: WeightFormat) -> None:
    """Parametrize the layers of a network, in place. Nothing is pruned yet.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False))
    >>> add_stored_weights(network, "int8")
    >>> [name for name, _ in network.named_parameters()]
    ['0.parametrizations.weight.original']
    """
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrize.register_parametrization(layer, "weight", StoredWeight(layer.weight, LEVELS.get(dtype)))


@torch.no_grad()
def prune_to(network: nn.Module, sparsity: float) -> None:
    """Prune a network that `add_stored_weights` prepared to a sparsity. Weights that are pruned already stay so."""
    weights = {name: (layer.original, layer[0].mask) for name, layer in _parametrized(network, nn.Conv2d).items()}
    pruned = sum(int((~mask).sum()) for _, mask in weights.values())
    if pruned == round(sparsity * sum(mask.numel() for _, mask in weights.values())):
        return
    masks = l1_masks({name: original * mask for name, (original, mask) in weights.items()}, sparsity)
    for name, (_, mask) in weights.items():
        mask.copy_(masks[name])


@torch.no_grad()
def remove_stored_weights(network: nn.Module) -> dict[str, Tensor]:
    """Invert `add_stored_weights`: leave plain weights, pruned but not rounded. Return the convolutions' masks.

    Copies that were made of the parametrized network cannot be used afterwards.
    """
    masks = {f"{name}.weight": layer[0].mask.clone() for name, layer in _parametrized(network, nn.Conv2d).items()}
    for name, stored in _parametrized(network, nn.Conv2d | nn.Linear).items():
        stored.original.mul_(stored[0].mask)
        parametrize.remove_parametrizations(network.get_submodule(name), "weight", leave_parametrized=False)
    return masks


def _parametrized(network: nn.Module, kinds: Any) -> dict[str, Any]:
    """Return the parametrization of the weight of each layer of these kinds, by the layer's name."""
    layers = ((name, layer) for name, layer in network.named_modules() if isinstance(layer, kinds))
    return {name: layer.parametrizations["weight"] for name, layer in layers}
