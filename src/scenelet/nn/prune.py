"""Global L1 pruning of convolution weights (section 5.1 of the paper)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError

MIN_DENSITY = 0.05  # `compress` warns about a layer with a smaller fraction of kept weights
BISECTION_STEPS = 12  # they find the sparsity to 1 / 4096
MAX_SPARSITY = 0.999  # of a network that must fit a number of bytes

Masks = Mapping[str, Tensor]
"""Pruning masks: parameter name -> tensor of bool, False where a weight is pruned."""


def convolution_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of every convolution by parameter name. A shared convolution occurs once."""
    return {
        f"{name}.weight": module.weight for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    }


def global_l1_masks(network: nn.Module, sparsity: float) -> dict[str, Tensor]:
    """Return `l1_masks` of all convolutions of a network.

    >>> network = nn.Conv2d(1, 4, 1, bias=False)
    >>> network.weight.data = torch.tensor([0.1, -2.0, 0.3, -0.2]).view(4, 1, 1, 1)
    >>> global_l1_masks(nn.Sequential(network), 0.5)["0.weight"].flatten().tolist()
    [False, True, True, False]
    """
    return l1_masks(convolution_weights(network), sparsity)


def l1_masks(weights: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Return the mask of each weight by name, False for the `round(sparsity * n)` smallest of all n numbers.

    All weights share one threshold, as in `torch.nn.utils.prune.global_unstructured` with L1.

    Raises:
        UsageError: `sparsity` is not in [0, 1).

    >>> l1_masks({"a": torch.tensor([0.1, -2.0]), "b": torch.tensor([0.3, -0.2])}, 0.5)
    {'a': tensor([False,  True]), 'b': tensor([ True, False])}
    """
    if not 0 <= sparsity < 1:
        raise UsageError(f"sparsity {sparsity:g} must be at least 0 and below 1: it is a fraction, 0.6 for 60 %")
    if not weights:
        return {}
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights.values()])
    kept = torch.ones_like(sizes, dtype=torch.bool)
    kept[torch.argsort(sizes, stable=True)[: round(sparsity * len(sizes))]] = False
    masks, start = {}, 0
    for name, weight in weights.items():
        masks[name] = kept[start : start + weight.numel()].view(weight.shape)
        start += weight.numel()
    return masks


@torch.no_grad()
def apply_masks(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the pruned weights of `network` to zero, in place."""
    for name, mask in masks.items():
        network.get_parameter(name).mul_(mask)


def nearly_empty_layers(masks: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the kept fraction of each layer that keeps less than `MIN_DENSITY` of its weights, by layer name."""
    densities = {name.removesuffix(".weight"): float(mask.float().mean()) for name, mask in masks.items()}
    return {name: density for name, density in densities.items() if density < MIN_DENSITY}


def check_budget_reachable(size: Callable[[float], int], max_bytes: int) -> None:
    """Check that a network can be pruned until its file has at most `max_bytes` bytes.

    Args:
        size: returns the bytes of the file at a sparsity.
        max_bytes: the limit.

    Raises:
        UsageError: even the sparsest file is too large.
    """
    if (smallest := size(MAX_SPARSITY)) > max_bytes:
        raise UsageError(
            f"{max_bytes:,} bytes are out of reach: even with {100 * MAX_SPARSITY:g} % of the weights pruned the"
            f" file takes {smallest:,} bytes"
        )


def sparsity_for_bytes(size: Callable[[float], int], max_bytes: int, min_sparsity: float = 0.0) -> float:
    """Return the smallest sparsity whose file has at most `max_bytes` bytes, found by bisection.

    Args:
        size: returns the bytes of the file at a sparsity.
        max_bytes: the limit.
        min_sparsity: the smallest sparsity that may be returned.

    Raises:
        UsageError: as `check_budget_reachable`.

    >>> round(sparsity_for_bytes(lambda sparsity: int(1000 * (1 - sparsity)), 250), 2)
    0.75
    """
    if size(min_sparsity) <= max_bytes:
        return min_sparsity
    check_budget_reachable(size, max_bytes)
    low, high = min_sparsity, MAX_SPARSITY
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if size(middle) <= max_bytes else (middle, high)
    return high
