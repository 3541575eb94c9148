"""Ensemble: several networks of one kind in one model, whose logits are averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Networks that answer together: the mean of their logits.

    In training, the networks stay independent. The batch is split evenly, and each network answers its own part, so
    each has a loss of its own.

    Args:
        members: networks with the same input and the same classes.

    Shape: (batch, channels, frequency, time) -> logits (batch, classes).

    >>> member = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> ensemble = Ensemble([member, member])
    >>> ensemble(torch.ones(6, 1, 2, 2)).shape
    torch.Size([6, 3])
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frequency, time) to logits (batch, classes)."""
        if self.training and isinstance(x, Tensor):  # a tracer passes no tensors, and a model file answers together
            parts = x.chunk(len(self.members))
            return torch.cat([member(part) for member, part in zip(self.members, parts, strict=True)])
        first, *others = (member(x) for member in self.members)
        for logits in others:
            first = first + logits
        mean: Tensor = first / len(self.members)
        return mean


def member_count(network: nn.Module) -> int:
    """Return the number of members of an ensemble, and 1 for any other network."""
    return len(network.members) if isinstance(network, Ensemble) else 1


def keep_members(network: nn.Module, count: int | None) -> nn.Module:
    """Return an ensemble of the first `count` members, or the member itself if `count` is 1; None: all.

    >>> members = [nn.Linear(1, 1) for _ in range(3)]
    >>> keep_members(Ensemble(members), 1) is members[0], len(keep_members(Ensemble(members), 2).members)
    (True, 2)
    """
    if count is None or not isinstance(network, Ensemble):
        return network
    kept = list(network.members)[:count]
    return kept[0] if len(kept) == 1 else Ensemble(kept)
