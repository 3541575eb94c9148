"""Dropout: the dropped fraction, and reproducible draws."""

import math

import pytest
import torch
from torch import nn

from scenelet.errors import UsageError
from scenelet.nn.dropout import Dropout, reseed


def test_dropout_drops_the_given_fraction_and_scales_the_rest() -> None:
    layer = Dropout(0.3)
    layer.reseed(0)
    y = layer(torch.ones(200, 500))
    assert abs((y == 0).float().mean() - 0.3) < 0.01
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.7))
    assert torch.equal(layer.eval()(torch.ones(3)), torch.ones(3))


def test_reseed_restarts_draws_that_differ_between_layers() -> None:
    network = nn.Sequential(Dropout(0.5), nn.Identity(), Dropout(0.5))
    first, second = network[0], network[2]
    x = torch.ones(64)
    reseed(network, 7)
    once = first(x), second(x)
    assert not torch.equal(*once)
    torch.rand(5)  # PyTorch's generator has no influence
    reseed(network, 7)
    assert torch.equal(first(x), once[0])
    assert torch.equal(second(x), once[1])
    reseed(network, 8)
    assert not torch.equal(first(x), once[0])


def test_dropout_does_not_use_pytorchs_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Dropout(0.5)(torch.ones(10))
    assert torch.equal(torch.rand(4), expected)


def test_dropout_draws_on_the_device_of_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, rand = [], torch.rand

    def record_device(*shape: object, generator: torch.Generator, device: torch.device) -> torch.Tensor:
        drawn.append((generator.device, device))
        return rand(*shape, generator=generator, device=device)

    monkeypatch.setattr(torch, "rand", record_device)
    x = torch.ones(8)
    Dropout(0.5)(x)
    assert drawn == [(x.device, x.device)]


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan])
def test_dropout_refuses_a_fraction_out_of_range(p: float) -> None:
    with pytest.raises(UsageError, match="must be at least 0 and below 1"):
        Dropout(p)
