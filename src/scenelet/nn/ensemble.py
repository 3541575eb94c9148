"""Ensemble: several networks of one kind in one model, whose logits are averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Networks that answer together: the mean of their logits.

    In training, the networks stay independent. Each gets its own loss, so the logits are not averaged but listed, those
    of the first network for the complete batch first.

    Args:
        members: networks with the same input and the same classes.

    Shape: (batch, channels, frequency, time) -> logits (batch, classes); in training (members * batch, classes).

    >>> member = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    >>> ensemble = Ensemble([member, member])
    >>> x = torch.ones(5, 1, 2, 2)
    >>> ensemble.train()(x).shape, ensemble.eval()(x).shape
    (torch.Size([10, 3]), torch.Size([5, 3]))
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frequency, time) to logits, see the class."""
        first, *others = (member(x) for member in self.members)
        if self.training and isinstance(x, Tensor):  # a tracer passes no tensors, and a model file answers together
            return torch.cat([first, *others])
        for logits in others:
            first = first + logits
        mean: Tensor = first / len(self.members)
        return mean


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
