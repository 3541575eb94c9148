"""The optimizer with its learning rate, and the moving average of the weights."""

import copy
import itertools
import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from scenelet.config import ScheduleConfig
from scenelet.training.schedule import learning_rate


def build_optimizer(
    network: nn.Module, schedule: ScheduleConfig, steps_per_epoch: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """Build Adam or AdamW, and a scheduler that sets the learning rate of every step."""
    optimizer_class = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    # norms and biases have no weight decay
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    # `scenelet.nn.stored_weights` renames a weight to "parametrizations.weight.original"
    weights = [p for layer in layers for name, p in layer.named_parameters() if "weight" in name]
    decayed = {id(weight) for weight in weights}
    others = [p for p in network.parameters() if id(p) not in decayed]
    groups = [{"params": weights, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = optimizer_class(groups, lr=1.0, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate(schedule, step, steps_per_epoch))


class MovingAverage(nn.Module):
    """Exponential moving average of a network's weights and buffers. The first update copies the network.

    Unlike `torch.optim.swa_utils.AveragedModel`, an update never waits for a GPU. Buffers of integers, such as counters
    and masks, are copied. An update keeps the part `decay` of the average, from 0 to 1.

    >>> network = nn.Linear(1, 1)
    >>> average = MovingAverage(network, decay=0.5)
    >>> for value in (1.0, 3.0):
    ...     network.weight.data.fill_(value) and average.update(network)
    >>> average.network.weight.item()
    2.0
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        # distributed training would wait for the gradients of the average
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay, self.started = decay, False

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Include the present weights of `network`."""
        own, current = (list(itertools.chain(n.parameters(), n.buffers())) for n in (self.network, network))
        pairs = list(zip(own, current, strict=True))
        averaged, added = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averaged, added, 1 - self.decay if self.started else 1.0)
        for mine, new in pairs:
            if not mine.is_floating_point():
                mine.copy_(new)
        self.started = True


def moving_average(network: nn.Module, schedule: ScheduleConfig, steps_per_epoch: int) -> MovingAverage:
    """Create the moving average of a network over `schedule.ema_epochs`."""
    # at most a quarter of the training, so that the initial weights contribute exp(-4) = 2 %
    epochs = min(schedule.ema_epochs, schedule.epochs / 4)
    return MovingAverage(network, math.exp(-1 / (epochs * steps_per_epoch)))
