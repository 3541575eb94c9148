"""Sharpness-aware minimisation: steps by the gradient at the worst point nearby (Foret et al. 2021)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class SharpnessAware(Optimizer):
    """Takes another optimiser's steps, with the gradient at w + rho g / ||g|| in place of g, the one at w.

    Every step runs the closure twice, on the same batch. Norms see both passes.

    Args:
        base: the optimiser; its parameter groups and state are this one's.
        rho: how far the gradient is taken from.
    """

    def __init__(self, base: Optimizer, rho: float) -> None:
        super().__init__(base.param_groups, {})
        self.base, self.rho = base, rho
        self._share()

    def _share(self) -> None:
        """Learning rates that are set here, and what is saved from here, are the base's."""
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the base's state up again."""
        self.base.load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure` computes the loss and its gradients, from none."""
        assert closure is not None
        with torch.enable_grad():
            loss = closure()
        moved: list[tuple[Tensor, Tensor]] = []
        parameters = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        for p in parameters:
            moved.append((p, p.clone()))
            p.add_(p.grad * (self.rho / (norm + 1e-12)))
        with torch.enable_grad():
            closure()
        for p, own in moved:
            p.copy_(own)
        self.base.step()
        return loss
