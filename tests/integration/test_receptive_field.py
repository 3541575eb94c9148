"""The receptive field of `scenelet.model.costs`, compared with the field that gradients show."""

import pytest
import torch
from torch import nn

from scenelet.model.costs import receptive_field
from scenelet.nn import create_model
from scenelet.nn.blocks import GlobalMeanPool
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace


def gradient_field(network: nn.Module, pool: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of the input that influence the center of the map that enters `pool`."""
    maps: list[torch.Tensor] = []
    pool.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)  # positive weights: nothing cancels, and every ReLU is open
    x = torch.rand(1, 1, *size, dtype=torch.float64, requires_grad=True)
    network.double().eval()(x)
    last = maps[0]
    last[0, :, last.shape[2] // 2, last.shape[3] // 2].sum().backward()
    assert x.grad is not None
    return int(x.grad[0, 0].any(1).sum()), int(x.grad[0, 0].any(0).sum())


def average_pools(network: nn.Module) -> nn.Module:
    """Replace maxima by means, whose gradients reach every position of a window."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            parent = network.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], nn.AvgPool2d(module.kernel_size, module.stride))
    return network


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(("cp_resnet", {"rho": rho, "width": 2}) for rho in (4, 5, 6, 7)),
        ("shared_resnet", {"width": 2}),
        ("shared_resnet", {"width": 2, "repeats": 1, "sub_bands": 1}),
    ],
)
def test_receptive_field_equals_the_field_of_the_gradients(name: str, settings: dict[str, int]) -> None:
    network = create_model(name, num_classes=2, in_channels=1, **settings)
    nodes, arrays = trace(StandardizedNetwork(network, torch.zeros(512), torch.ones(512)))
    field = receptive_field(nodes, {key: array.shape for key, array in arrays.items()}, (1, 512, 512))
    pool = next(module for module in network.modules() if isinstance(module, GlobalMeanPool))
    assert field == gradient_field(average_pools(network), pool, (512, 512))


def test_receptive_field_baseline_is_not_square() -> None:
    network = create_model("dcase2020_baseline", num_classes=3)
    nodes, arrays = trace(StandardizedNetwork(network, torch.zeros(40), torch.ones(40)))
    bands, frames = receptive_field(nodes, {key: array.shape for key, array in arrays.items()}, (1, 40, 501))
    # kernel 7, pool 5, kernel 7 with stride 5, then pool 4 or 100 with stride 5
    assert (bands, frames) == (7 + 4 + 6 * 5 + 3 * 5, 7 + 4 + 6 * 5 + 99 * 5)
