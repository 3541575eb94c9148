"""The optimizer's parameter groups and the moving average."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scenelet.config import ScheduleConfig
from scenelet.nn.stored_weights import add_stored_weights
from scenelet.training.optimizer import MovingAverage, build_optimizer, moving_average
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


def test_build_optimizer_changes_the_originals_of_stored_weights() -> None:
    network = small_network()
    plain = [
        [id(p) for p in group["params"]] for group in build_optimizer(network, ScheduleConfig(), 5)[0].param_groups
    ]
    add_stored_weights(network, "int8")
    groups = build_optimizer(network, ScheduleConfig(), 5)[0].param_groups
    assert [sorted(id(p) for p in group["params"]) for group in groups] == [sorted(ids) for ids in plain]


def test_moving_average_never_waits_for_a_device() -> None:
    """A tensor on "meta" has no value, and raises an error where Python would wait for it."""
    network = small_network().to("meta")
    average = MovingAverage(network, 0.9)
    for _ in range(2):
        average.update(network)
    with pytest.raises(RuntimeError, match="meta"):
        bool(network[0].weight.sum() > 0)


def test_moving_average_equals_that_of_pytorch() -> None:
    torch.manual_seed(0)
    network = small_network()
    ours = MovingAverage(network, 0.9)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(4):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update(network)
        theirs.update_parameters(network)
    expected = theirs.module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in ours.network.state_dict().items())


def test_moving_average_needs_no_gradients() -> None:
    # distributed training would wait for gradients of the average
    averaged = moving_average(small_network(), ScheduleConfig(ema_epochs=1), steps_per_epoch=2)
    assert not any(p.requires_grad for p in averaged.parameters())
