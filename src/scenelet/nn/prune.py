"""Global L1 pruning of convolution weights (the paper, section 5.1)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from scenelet.errors import UsageError

MIN_DENSITY = 0.05  # a layer with a smaller share of kept weights is warned about
BUDGET_STEPS = 12  # bisections: the sparsity is found to 1 / 4096
MAX_SPARSITY = 0.999  # what a budget may prune at most


def convolution_weights(network: nn.Module) -> dict[str, Tensor]:
    """Parameter name -> weights of every convolution, each once however often it is used."""
    return {
        f"{name}.weight": module.weight for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    }


def gradual_sparsity(epoch: int, ramp: int, sparsity: float) -> float:
    """Sparsity in an epoch (from 0) of a pruning that reaches `sparsity` in epoch `ramp - 1`.

    s (1 - (1 - (epoch + 1) / ramp)^3): much at first, while little is missed (Zhu and Gupta 2017).
    """
    return sparsity * (1 - max(0.0, 1 - (epoch + 1) / ramp) ** 3)


def global_l1_masks(network: nn.Module, sparsity: float) -> dict[str, Tensor]:
    """Parameter name -> 0/1 mask: the `round(sparsity * n)` smallest of all n weights are 0; {} without convolutions.

    One threshold for all layers, as `torch.nn.utils.prune.global_unstructured` with L1.

    Raises:
        UsageError: `sparsity` is not in [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise UsageError(f"sparsity {sparsity:g} must be at least 0 and below 1: it is a share, 0.6 for 60 %")
    weights = convolution_weights(network)
    if not weights:
        return {}
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights.values()])
    kept = torch.ones_like(sizes)
    kept[torch.argsort(sizes, stable=True)[: round(sparsity * len(sizes))]] = 0
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
    """Layers of which less than `MIN_DENSITY` is left, with the share that is."""
    densities = {name.removesuffix(".weight"): float(mask.mean()) for name, mask in masks.items()}
    return {name: density for name, density in densities.items() if density < MIN_DENSITY}


def check_budget_reachable(size: Callable[[float], int], max_bytes: int) -> None:
    """Check that a file `size(sparsity)` can be within `max_bytes` bytes.

    Raises:
        UsageError: even the sparsest file is too large.
    """
    if (smallest := size(MAX_SPARSITY)) > max_bytes:
        raise UsageError(
            f"a budget of {max_bytes:,} bytes is out of reach: all but pruned away the file takes {smallest:,} bytes"
        )


def sparsity_for_bytes(size: Callable[[float], int], max_bytes: int, least: float = 0.0) -> float:
    """The smallest sparsity, not below `least`, whose file `size(sparsity)` is within `max_bytes` bytes.

    Raises:
        UsageError: as `check_budget_reachable`.
    """
    if size(least) <= max_bytes:
        return least
    check_budget_reachable(size, max_bytes)
    low, high = least, MAX_SPARSITY
    for _ in range(BUDGET_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if size(middle) <= max_bytes else (middle, high)
    return high
