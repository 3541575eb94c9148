"""Standardization of log-mel before a network."""

import torch
from torch import nn

from scenelet.nn.standardize import StandardizedNetwork


def test_standardized_network_scales_each_mel_band() -> None:
    mean, std = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([1.0, 4.0, 0.5])
    network = StandardizedNetwork(nn.Identity(), mean, std)
    x = torch.randn(2, 2, 3, 5)
    torch.testing.assert_close(network(x), (x - mean[None, None, :, None]) / std[None, None, :, None])


def test_standardized_network_copies_its_statistics() -> None:
    mean = torch.zeros(3)
    network = StandardizedNetwork(nn.Identity(), mean, torch.ones(3))
    mean += 1
    assert not network.mean.any()
    assert set(network.state_dict()) == {"mean", "std"}
