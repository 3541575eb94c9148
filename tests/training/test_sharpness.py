"""Sharpness-aware steps, on a function whose gradient is known everywhere."""

import pytest
import torch
from torch import Tensor, nn

from scenelet.training.sharpness import SharpnessAware


def quartic() -> tuple[nn.Parameter, nn.Parameter]:
    return nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([-1.5]))


def closure_of(optimizer: torch.optim.Optimizer, parameters: tuple[nn.Parameter, ...]) -> object:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack([(p**4).sum() for p in parameters]).sum()
        loss.backward()
        return loss

    return closure


def test_a_step_by_the_gradient_at_the_worst_point_nearby() -> None:
    parameters = quartic()
    w = torch.cat([p.detach().clone() for p in parameters])
    optimizer = SharpnessAware(torch.optim.SGD(parameters, lr=0.01), rho=0.5)
    loss = optimizer.step(closure_of(optimizer, parameters))
    assert float(loss.detach()) == pytest.approx(1 + 16 + 1.5**4)
    gradient = 4 * w**3
    worst = w + 0.5 * gradient / gradient.norm()
    assert torch.allclose(torch.cat(list(parameters)), w - 0.01 * 4 * worst**3)


def test_rates_and_state_are_the_bases() -> None:
    def begin() -> tuple[tuple[nn.Parameter, ...], SharpnessAware]:
        parameters = quartic()
        return parameters, SharpnessAware(torch.optim.AdamW(parameters, lr=0.1), rho=0.1)

    whole, optimizer = begin()
    for _ in range(4):
        optimizer.step(closure_of(optimizer, whole))
    half, first = begin()
    for _ in range(2):
        first.step(closure_of(first, half))
    resumed, second = begin()
    second.load_state_dict(first.state_dict())
    for p, q in zip(resumed, half, strict=True):
        p.data.copy_(q.data)
    for _ in range(2):
        second.step(closure_of(second, resumed))
    assert all(torch.equal(p, q) for p, q in zip(whole, resumed, strict=True))
    schedule = torch.optim.lr_scheduler.LambdaLR(second, lambda _: 0.5)
    assert second.base.param_groups[0]["lr"] == pytest.approx(0.05)
    assert schedule.get_last_lr() == [pytest.approx(0.05)]
