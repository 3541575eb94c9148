"""CP-Mobile: exact counts of the DCASE baseline, shapes, the block by hand, initial weights."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d

from scenelet.config import NetworkConfig
from scenelet.model.costs import macs
from scenelet.nn import create_model, model_settings
from scenelet.nn.cp_mobile import BottleneckBlock, round_channels
from scenelet.nn.norm import BatchNorm, ResidualNorm
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.nn.trace import trace


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def by_formula(base: int, multiplier: float, expansion: float, classes: int) -> int:
    """Count parameters: every convolution has a norm with two parameters per channel."""
    sizes = [round_channels(base * multiplier**stage) for stage in range(3)]
    total = (9 + 2) * (base // 4) + 9 * base // 4 * base + 2 * base
    pairs = [(base, sizes[0])] + [(sizes[0], sizes[0])] * 2 + [(sizes[0], sizes[1]), (sizes[1], sizes[1])]
    for before, after in [*pairs, (sizes[1], sizes[2])]:
        inner = round_channels(before * expansion)
        total += before * inner + 9 * inner + inner * after + 2 * (2 * inner + after)
    return total + sizes[2] * classes + 2 * classes


def test_cp_mobile_has_the_baselines_count_of_parameters() -> None:
    assert parameters(create_model("cp_mobile", num_classes=10)) == 61_148 == by_formula(32, 1.8, 2.1, 10)


@pytest.mark.parametrize(
    ("width", "multiplier", "expansion"), [(8, 1.8, 2.1), (24, 1.5, 1.0), (40, 2.3, 3.0), (64, 1.8, 2.1)]
)
def test_cp_mobile_counts_follow_its_settings(width: int, multiplier: float, expansion: float) -> None:
    settings = {"width": width, "multiplier": multiplier, "expansion": expansion}
    assert parameters(create_model("cp_mobile", num_classes=3, **settings)) == by_formula(*settings.values(), 3)


def test_cp_mobile_defaults_are_those_of_the_settings() -> None:
    config = NetworkConfig(name="cp_mobile", width=32).model_dump(exclude={"name", "init"})
    known = {key: value for key, value in config.items() if key in model_settings("cp_mobile")}
    assert set(known) == {"width", "multiplier", "expansion", "residual_norm"}
    assert parameters(create_model("cp_mobile", num_classes=10, **known)) == 61_148


def test_cp_mobile_has_the_baselines_multiply_accumulates() -> None:
    """The challenge counts a clip of 1 s: 256 bands, 65 frames. It counts each norm's parameters once, too."""
    network = create_model("cp_mobile", num_classes=10)
    nodes, arrays = trace(StandardizedNetwork(network, *torch.ones(2, 256)).eval())
    counted = macs(nodes, {name: array.shape for name, array in arrays.items()}, (1, 256, 65))
    norms = sum(parameters(module) for module in network.modules() if isinstance(module, BatchNorm))
    assert counted + norms == 29_419_156


def test_cp_mobile_shapes_of_all_blocks() -> None:
    network, seen = create_model("cp_mobile", num_classes=10, in_channels=2), []
    for block in network.blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
    assert network(torch.zeros(2, 2, 256, 65)).shape == (2, 10)
    assert network.stem[0].out_channels == 8
    assert seen == [(32, 64, 17)] * 2 + [(32, 64, 9)] + [(56, 32, 9)] * 2 + [(104, 32, 9)]
    assert [block.same for block in network.blocks] == [True, True, True, False, True, False]


def normalized(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    return batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


@pytest.mark.parametrize(("channels", "stride"), [(8, (1, 1)), (8, (1, 2)), (16, (2, 1)), (16, (1, 1))])
def test_bottleneck_block_equals_its_layers(channels: int, stride: tuple[int, int]) -> None:
    block = BottleneckBlock(8, channels, 2.0, stride).double().eval()
    for values in (*block.parameters(), *(b for b in block.buffers() if b.is_floating_point())):
        values.data = torch.rand(values.shape, generator=generator(values.numel()), dtype=torch.float64) + 0.1
    x = torch.randn(2, 8, 6, 7, generator=generator(1), dtype=torch.float64)
    (expand, norm), depthwise, project = block.expand, block.depthwise, block.project
    y = normalized(conv2d(x, expand.weight), norm).relu()
    y = normalized(conv2d(y, depthwise.weight, stride=stride, padding=1, groups=16), block.norm).relu()
    y = normalized(conv2d(y, project.weight), block.norm_out)
    if channels == 8:
        padded = nn.functional.pad(x, (1, 1, 1, 1))
        y = y + (x if stride == (1, 1) else avg_pool2d(padded, 3, stride))
    torch.testing.assert_close(block(x), y.relu())


def test_cp_mobile_draws_from_the_generator_only() -> None:
    def weights(own_seed: int, global_seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(global_seed)
        return create_model("cp_mobile", num_classes=3, width=8, generator=generator(own_seed)).state_dict()

    first, again, other = weights(3, 0), weights(3, 1), weights(4, 0)
    assert [name for name, value in first.items() if not torch.equal(value, again[name])] == []
    drawn = {name for name, value in first.items() if not torch.equal(value, other[name])}
    assert drawn == {name for name, value in first.items() if value.ndim == 4}


@pytest.mark.parametrize("residual_norm", [False, True])
def test_cp_mobile_has_gradients_for_every_parameter(residual_norm: bool) -> None:
    settings = {"width": 8, "residual_norm": residual_norm, "generator": generator()}
    network = create_model("cp_mobile", num_classes=3, in_channels=2, **settings)
    assert isinstance(network.input_norm, ResidualNorm) == residual_norm
    x = torch.randn(4, 2, 40, 33, generator=generator(1))
    nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2, 0])).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
