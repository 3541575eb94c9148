"""The optimizer's parameter groups and the moving average."""

import torch
from torch import nn

from scenelet.config import ScheduleConfig
from scenelet.training.optimizer import build_optimizer, moving_average
from scenelet.training.schedule import learning_rate


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def test_build_optimizer_decays_only_layer_weights() -> None:
    schedule = ScheduleConfig(optimizer="adamw", weight_decay=0.1)
    optimizer, _ = build_optimizer(small_network(), schedule, steps_per_epoch=5)
    assert isinstance(optimizer, torch.optim.AdamW)
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert all(p.ndim == 1 for p in others["params"])


def test_build_optimizer_follows_the_schedule_every_step() -> None:
    schedule = ScheduleConfig(epochs=2)
    optimizer, scheduler = build_optimizer(small_network(), schedule, steps_per_epoch=3)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == [learning_rate(schedule, step, 3) for step in range(6)]


def test_moving_average_needs_no_gradients() -> None:
    # distributed training would wait for gradients of the average
    averaged = moving_average(small_network(), ScheduleConfig(ema_epochs=1), steps_per_epoch=2)
    assert not any(p.requires_grad for p in averaged.parameters())
