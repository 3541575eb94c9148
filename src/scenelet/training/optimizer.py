"""The optimizer with its learning rate, and the moving average of the weights."""

import math

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scenelet.config import ScheduleConfig
from scenelet.training.schedule import learning_rate


def build_optimizer(
    network: nn.Module, schedule: ScheduleConfig, steps_per_epoch: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """Build Adam or AdamW, and a scheduler that sets the learning rate of every step."""
    optimizer_class = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    # norms and biases have no weight decay
    decayed = {id(weight) for weight in layer_weights(network)}
    weights = [p for p in network.parameters() if id(p) in decayed]
    others = [p for p in network.parameters() if id(p) not in decayed]
    groups = [{"params": weights, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = optimizer_class(groups, lr=1.0, fused=True)
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate(schedule, step, steps_per_epoch))


def layer_weights(network: nn.Module) -> list[Tensor]:
    """Return the weights of convolutions and dense layers.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    >>> [tuple(weight.shape) for weight in layer_weights(network)]
    [(4, 1, 3, 3), (2, 4)]
    """
    layers = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return [layer.weight for layer in layers]


def moving_average(network: nn.Module, schedule: ScheduleConfig, steps_per_epoch: int) -> AveragedModel:
    """Create the exponential moving average of a network's weights and buffers over `schedule.ema_epochs`."""
    # at most a quarter of the training, so that the initial weights contribute exp(-4) = 2 %
    epochs = min(schedule.ema_epochs, schedule.epochs / 4)
    decay = math.exp(-1 / (epochs * steps_per_epoch))
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    averaged.requires_grad_(False)  # distributed training would wait for its gradients
    return averaged
