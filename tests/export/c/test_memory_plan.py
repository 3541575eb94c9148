"""Places in the arena: every layer reads what was written, no value is overwritten too early."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.fused_networks import random_model, traced_model
from helpers.traced_networks import ALL_NETWORKS
from scenelet.export.c.memory_plan import MemoryPlan, plan_memory
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.layers import (
    Add,
    AveragePool,
    Conv,
    FrequencyMean,
    FusedNetwork,
    Layer,
    MaxPool,
    Relu,
    ResidualNorm,
    Silu,
)
from scenelet.model.ops import INPUT, OUTPUT

PATCH = -2


class Arena:
    """Arena in which each cell holds the number of the column that was written last."""

    def __init__(self, network: FusedNetwork, plan: MemoryPlan) -> None:
        self.network, self.plan = network, plan
        self.cells = np.full(plan.size, -1, np.int64)
        self.numbers = {name: index * 10_000 for index, name in enumerate(network.shapes)}

    def column(self, name: str, frame: int) -> np.ndarray:
        frequencies, frames, channels = self.network.shapes[name]
        row, step = (channels, 0) if name in self.plan.columns else (frames * channels, channels)
        begins = self.plan.offsets[name] + np.arange(frequencies) * row + frame * step
        return (begins[:, None] + np.arange(channels)).ravel()

    def write(self, name: str, frame: int) -> None:
        self.cells[self.column(name, frame)] = self.numbers[name] + frame

    def check(self, name: str, frame: int) -> None:
        assert (self.cells[self.column(name, frame)] == self.numbers[name] + frame).all(), (name, frame)

    def run(self, layer: Layer, frame: int) -> None:
        for name in layer.reads:
            for source in frames_read(layer, frame, self.network.shapes[name][1]):
                self.check(name, source)
        self.patch(layer)
        self.write(layer.name, frame)
        self.patch(layer)

    def patch(self, layer: Layer) -> None:
        if layer.name in self.plan.patches:
            assert isinstance(layer, Conv)
            begin = self.plan.patches[layer.name]
            end = begin + layer.weight.integers[0].size
            assert end <= self.plan.size
            self.cells[begin:end] = PATCH


def frames_read(layer: Layer, frame: int, frames: int) -> list[int]:
    """Return the time steps of an input that a layer needs for one time step of its result."""
    if isinstance(layer, Conv | MaxPool | AveragePool):
        pad = 0 if isinstance(layer, MaxPool) else layer.pads[1][0]
        dilation = layer.dilation[1] if isinstance(layer, Conv) else 1
        taps = [frame * layer.stride[1] - pad + k * dilation for k in range(layer.kernel[1])]
        return [tap for tap in taps if 0 <= tap < frames]
    return [frame] if isinstance(layer, Add | Relu | Silu | FrequencyMean) else list(range(frames))


def is_elementwise(layer: Layer, network: FusedNetwork) -> bool:
    if isinstance(layer, Conv):
        channels = network.shapes[layer.name][2]
        return layer.kernel == (1, 1) and layer.groups == channels == network.shapes[layer.input][2]
    return isinstance(layer, Add | Relu | Silu | ResidualNorm)


def simulate(network: FusedNetwork, plan: MemoryPlan) -> None:
    arena = Arena(network, plan)
    for frame in range(network.shapes[INPUT][1]):
        arena.write(INPUT, frame)
    for chain in plan.chains:
        for layer in chain:
            mine = arena.column(layer.name, 0)
            for name in layer.reads:
                assert is_elementwise(layer, network) or not np.intersect1d(mine, arena.column(name, 0)).size
        frames = range(network.shapes[chain[-1].name][1])
        if isinstance(chain[0], ResidualNorm):  # it reads a whole row before it writes it
            for frame in frames:
                arena.check(chain[0].input, frame)
            for frame in frames:
                arena.write(chain[0].name, frame)
            continue
        for frame in frames:
            for layer in chain:
                arena.run(layer, frame)
    for frame in range(network.shapes[OUTPUT][1]):
        arena.check(OUTPUT, frame)


def check(network: FusedNetwork) -> None:
    plan = plan_memory(network)
    assert tuple(layer for chain in plan.chains for layer in chain) == network.layers
    assert max(plan.needed) <= plan.size
    simulate(network, plan)


@pytest.mark.parametrize("settings", ALL_NETWORKS, ids=str)
def test_no_value_is_overwritten_too_early(settings: dict[str, Any]) -> None:
    check(fuse(traced_model(settings)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_no_value_of_a_random_network_is_overwritten_too_early(seed: int) -> None:
    check(fuse(random_model(seed)))


def test_chains_save_memory() -> None:
    network = fuse(traced_model({"name": "bc_resnet", "width": 8, "sub_bands": 2}))
    plan = plan_memory(network)
    assert plan.columns
    largest = max(int(np.prod(shape)) for name, shape in network.shapes.items() if name in plan.columns)
    assert largest > 0.5 * plan.size  # a value that would have filled most of the arena
