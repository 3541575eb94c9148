"""BC-ResNet: exact parameter counts, shapes, the broadcasted block by hand, dropout, initial weights."""

import numpy as np
import pytest
import torch
from torch import nn

from scenelet.config.recipes import load_recipe
from scenelet.errors import UsageError
from scenelet.nn import create_model, list_models
from scenelet.nn.bc_resnet import DROPOUT, BroadcastedBlock
from scenelet.nn.dropout import Dropout, reseed
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.training.network import build_network


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"width": 8}, 9_232),
        ({"width": 5}, 4_585),
        ({"width": 64}, 321_068),
        ({"width": 8, "num_classes": 10}, 9_232 - 2 * (32 + 1)),
        ({"width": 8, "in_channels": 2}, 9_232 + 16 * 25),
        ({"width": 8, "sub_bands": 1}, 9_232 - 4 * 2 * (2 * 8 + 2 * 12 + 4 * 16 + 4 * 20)),
    ],
)
def test_bc_resnet_has_the_papers_parameter_counts(settings: dict[str, int], count: int) -> None:
    assert "bc_resnet" in list_models()
    assert parameters(create_model("bc_resnet", **({"num_classes": 12} | settings))) == count


@pytest.mark.parametrize(("bands", "sub_bands"), [(40, 5), (64, 2), (64, 4), (64, 8)])
def test_bc_resnet_halves_frequency_three_times(bands: int, sub_bands: int) -> None:
    """The stem and the first blocks of the second and third stage halve frequency. Time stays the same."""
    network, seen = create_model("bc_resnet", num_classes=3, in_channels=2, sub_bands=sub_bands), []
    for block in network.blocks:
        block.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
    assert network(torch.zeros(2, 2, bands, 9)).shape == (2, 3)
    half, quarter, eighth = bands // 2, bands // 4, bands // 8
    assert seen == [(8, half, 9)] * 2 + [(12, quarter, 9)] * 2 + [(16, eighth, 9)] * 4 + [(20, eighth, 9)] * 4
    assert network.head[2].num_features == 32


def test_bc_resnet_doubles_dilation_per_stage() -> None:
    network = create_model("bc_resnet", num_classes=3, blocks=1)
    dilations = [block.over_time.dilation for block in network.blocks]
    assert dilations == [(1, 1), (1, 2), (1, 4), (1, 4), (1, 8), (1, 8)]


def test_bc_resnet_names_the_layer_that_cannot_split() -> None:
    network = create_model("bc_resnet", num_classes=3, sub_bands=4)
    with pytest.raises(UsageError, match=r"^blocks\.2\.norm: 10 frequencies do not split into 4 equal sub-bands"):
        network(torch.zeros(2, 1, 40, 9))


def randomize(block: BroadcastedBlock, seed: int) -> None:
    """Draw weights, affines and statistics that differ everywhere."""
    draws = generator(seed)
    for values in (*block.parameters(), *(b for b in block.buffers() if b.is_floating_point())):
        values.data = torch.randn(values.shape, generator=draws)
    for norm in block.modules():
        if isinstance(norm, BatchNorm | SubSpectralNorm):
            norm.running_var.abs_().add_(0.5)


def by_hand(block: BroadcastedBlock, x: np.ndarray, stride: int, dilation: int, sub_bands: int) -> np.ndarray:
    """Compute a block for one clip (channels, frequency, time) up to its last ReLU, position by position."""
    own = {name: value.double().numpy() for name, value in block.state_dict().items()}

    def normalized(value: float, name: str, channel: int, band: int = 0) -> float:
        rows = {part: own[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")}
        mean, var, weight, bias = (float(np.atleast_2d(row)[band, channel]) for row in rows.values())
        return (value - mean) / (var + 1e-5) ** 0.5 * weight + bias

    if "change.0.weight" in own:
        changed = np.einsum("oi,ift->oft", own["change.0.weight"][:, :, 0, 0], x)
        for channel, f, t in np.ndindex(changed.shape):
            changed[channel, f, t] = max(0.0, normalized(changed[channel, f, t], "change.1", channel))
        y, shortcut = changed, None
    else:
        y = shortcut = x
    channels, frequencies, frames = y.shape[0], y.shape[1] // stride, y.shape[2]
    tall = np.zeros((channels, frequencies, frames))
    for channel, f, t in np.ndindex(tall.shape):
        for k in range(3):
            if 0 <= (row := f * stride + k - 1) < y.shape[1]:
                tall[channel, f, t] += own["over_frequency.weight"][channel, 0, k, 0] * y[channel, row, t]
        tall[channel, f, t] = normalized(tall[channel, f, t], "norm", channel, f * sub_bands // frequencies)
    swished = np.zeros((channels, frames))
    for channel, t in np.ndindex(swished.shape):
        total = 0.0
        for k in range(3):
            if 0 <= (frame := t + (k - 1) * dilation) < frames:
                total += own["over_time.weight"][channel, 0, 0, k] * sum(tall[channel, :, frame]) / frequencies
        total = normalized(total, "norm_time", channel)
        swished[channel, t] = total / (1 + np.exp(-total))
    row = own["mix.weight"][:, :, 0, 0] @ swished
    out = np.zeros_like(tall)
    for channel, f, t in np.ndindex(out.shape):
        out[channel, f, t] = tall[channel, f, t] + row[channel, t]
        out[channel, f, t] += 0.0 if shortcut is None else shortcut[channel, f, t]
    return out


@pytest.mark.parametrize(
    ("in_channels", "stride", "dilation", "sub_bands"), [(3, 1, 1, 2), (3, 1, 4, 3), (2, 2, 2, 3), (2, 1, 8, 1)]
)
def test_broadcasted_block_equals_its_formula(in_channels: int, stride: int, dilation: int, sub_bands: int) -> None:
    block = BroadcastedBlock(in_channels, 3, stride, dilation, sub_bands).eval()
    randomize(block, 1)
    x, sums = torch.randn(2, in_channels, 6, 10, generator=generator(2)), []
    block.relu.register_forward_pre_hook(lambda _, inputs: sums.append(inputs[0]))
    with torch.no_grad():
        found = block(x)
    expected = np.stack([by_hand(block, clip.double().numpy(), stride, dilation, sub_bands) for clip in x])
    np.testing.assert_allclose(sums[0], expected, atol=1e-4)
    assert torch.equal(found, sums[0].relu())


def test_broadcasted_block_adds_its_input_if_channels_stay() -> None:
    """With all weights at zero the result is the input or zero."""
    for in_channels, is_added in ((3, True), (2, False)):
        block = BroadcastedBlock(in_channels, 3, 1, 1, 2).eval()
        for weight in block.parameters():
            nn.init.zeros_(weight)
        x = torch.randn(2, in_channels, 4, 5, generator=generator())
        assert torch.equal(block(x), x.relu() if is_added else torch.zeros(2, 3, 4, 5))


def dropped(block: BroadcastedBlock, x: torch.Tensor) -> torch.Tensor:
    """Return the output of a block's dropout."""
    seen: list[torch.Tensor] = []
    handle = block.dropout.register_forward_hook(lambda _, __, output: seen.append(output))
    block(x)
    handle.remove()
    return seen[0]


def test_dropout_drops_whole_channels_in_training_only() -> None:
    block = BroadcastedBlock(64, 64, 1, 1, 2)
    randomize(block, 3)
    x = torch.randn(32, 64, 4, 6, generator=generator())
    reseed(block, 5)
    y = dropped(block, x)
    zeros = y == 0
    assert y.shape == (32, 64, 1, 6)
    assert torch.equal(zeros.all(3), zeros.any(3))
    assert 0.5 * DROPOUT < float(zeros[..., 0].float().mean()) < 1.5 * DROPOUT
    assert len({tuple(row.flatten().tolist()) for row in zeros[..., 0]}) > 20  # channels differ between clips
    reseed(block, 5)
    assert torch.equal(dropped(block, x) == 0, zeros)
    assert not (dropped(block.eval(), x) == 0).any()
    assert torch.equal(block(x), block(x))


def test_bc_resnet_has_dropout_in_every_block() -> None:
    network = create_model("bc_resnet", num_classes=3)
    assert [m.p for m in network.modules() if isinstance(m, Dropout)] == [DROPOUT] * 12
    x = torch.randn(2, 1, 40, 9, generator=generator())
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_bc_resnet_draws_from_the_generator_only() -> None:
    def weights(own_seed: int, global_seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(global_seed)
        return create_model("bc_resnet", num_classes=3, generator=generator(own_seed)).state_dict()

    first, again, other = weights(3, 0), weights(3, 1), weights(4, 0)
    assert [name for name, value in first.items() if not torch.equal(value, again[name])] == []
    drawn = {name for name, value in first.items() if not torch.equal(value, other[name])}
    assert drawn >= {name for name, value in first.items() if value.ndim == 4}
    assert float(first["head.1.weight"].std()) == pytest.approx((2 / 20) ** 0.5, rel=0.1)  # Kaiming, fan-in


def test_bc_resnet_refuses_zero_residual_weights() -> None:
    config = load_recipe("paper_short", ["network.name=bc_resnet", "network.init=zero_residual", "network.sub_bands=4"])
    with pytest.raises(UsageError, match=r"network\.init"):
        build_network(config, 3, torch.zeros(128), torch.ones(128))


def test_bc_resnet_has_gradients_for_every_parameter() -> None:
    network = create_model("bc_resnet", num_classes=3, in_channels=2, generator=generator())
    x = torch.randn(4, 2, 40, 20, generator=generator(1))
    nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2, 0])).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_bc_resnet_with_a_stem_stride_in_time_sees_fewer_frames_and_grows_only_in_its_stem() -> None:
    network, shorter = (
        create_model("bc_resnet", num_classes=10, width=8, sub_bands=2, **more)
        for more in ({}, {"stem_stride": (2, 4)})
    )
    counts = [sum(weight.numel() for weight in each.parameters()) for each in (network, shorter)]
    assert counts[1] - counts[0] == 16 * 5 * (9 - 5)
    assert shorter.stem(torch.zeros(1, 1, 64, 216)).shape == (1, 16, 32, 54)
    assert shorter(torch.zeros(2, 1, 64, 216)).shape == (2, 10)
