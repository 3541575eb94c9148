"""Costs of a network, compared with values by hand: multiply-accumulates, activation memory, receptive field."""

import functools

import pytest

from helpers.tiny_model import CHAIN, CHAIN_ARRAYS, END
from scenelet.errors import ModelFileError
from scenelet.model.costs import layer_macs, macs, peak_activation_bytes, receptive_field
from scenelet.model.ops import (
    INPUT,
    OUTPUT,
    Add,
    AveragePool,
    Conv,
    FrequencyMeanPool,
    GlobalMeanPool,
    MaxPool,
    Node,
    Relu,
    ResidualNorm,
    ScaleShift,
    Silu,
    Softmax,
)


def test_layer_macs_counts_convolutions_and_dense_layers_only() -> None:
    conv, dense = 8 * 8 * 10 * 2 * 5 * 3, 3 * 128
    assert layer_macs(CHAIN, CHAIN_ARRAYS, (2, 16, 12)) == [0, conv, 0, 0, 0, 0, dense, 0]
    assert macs(CHAIN, CHAIN_ARRAYS, (2, 16, 12)) == conv + dense


def test_macs_of_a_grouped_convolution_divide_by_its_groups() -> None:
    nodes = [Conv(input=INPUT, output="x", weight="w", padding=(1, 1), groups=4), *END]
    assert macs(nodes, {"w": (8, 1, 3, 3)}, (4, 5, 6)) == 8 * 5 * 6 * 9


def test_macs_of_a_dilated_convolution_shrink_with_its_output() -> None:
    padded = [Conv(input=INPUT, output="x", weight="w", padding=(1, 2), groups=2, dilation=(1, 2)), *END]
    assert macs(padded, {"w": (4, 1, 3, 3)}, (2, 5, 8)) == 4 * 5 * 8 * 9
    bare = [Conv(input=INPUT, output="x", weight="w", groups=2, dilation=(1, 2)), *END]
    assert macs(bare, {"w": (4, 1, 3, 3)}, (2, 5, 8)) == 4 * 3 * 4 * 9


def test_layer_macs_after_a_mean_count_one_frequency() -> None:
    nodes = [
        FrequencyMeanPool(input=INPUT, output="row"),
        Conv(input="row", output="mixed", weight="w"),
        Add(inputs=("mixed", INPUT), output="x"),
        *END,
    ]
    assert layer_macs(nodes, {"w": (2, 2, 1, 1)}, (2, 16, 12)) == [0, 12 * 4, 0, 0, 0]


@pytest.mark.parametrize("cost", [layer_macs, macs, peak_activation_bytes])
def test_costs_refuse_a_network_that_does_not_fit(cost) -> None:
    with pytest.raises(ModelFileError, match="does not fit 2 channels"):
        cost([Conv(input=INPUT, output="x", weight="w"), *END], {"w": (4, 3, 3, 3)}, (2, 8, 6))


CONVOLUTIONS = {"wide": (1, 1, 3, 5), "tall": (1, 1, 4, 1)}


@pytest.mark.parametrize(
    ("nodes", "field"),
    [
        ([Conv(input=INPUT, output="x", weight="wide")], (3, 5)),
        ([Conv(input=INPUT, output="x", weight="wide", dilation=(3, 2))], (7, 9)),
        # frequency: 3, then two steps of 2 with dilation 4; time: 5, then four steps of 1
        (
            [
                Conv(input=INPUT, output="a", weight="wide", stride=(2, 1)),
                Conv(input="a", output="x", weight="wide", dilation=(4, 1)),
            ],
            (3 + 2 * 4 * 2, 5 + 4),
        ),
        # dilation does not change a stride
        (
            [
                Conv(input=INPUT, output="a", weight="wide", stride=(2, 1), dilation=(4, 1)),
                Conv(input="a", output="x", weight="tall"),
            ],
            (9 + 3 * 2, 5),
        ),
        (
            [
                MaxPool(input=INPUT, output="a", kernel=(2, 3), stride=(2, 3)),
                Relu(input="a", output="b"),
                Conv(input="b", output="x", weight="wide", dilation=(1, 2)),
            ],
            (2 + 2 * 2, 3 + 4 * 2 * 3),
        ),
        # after a mean over frequency every band counts
        (
            [
                Conv(input=INPUT, output="a", weight="wide", padding=(1, 2)),
                FrequencyMeanPool(input="a", output="b"),
                Add(inputs=("b", "a"), output="x"),
            ],
            (64, 5),
        ),
        (
            [
                AveragePool(input=INPUT, output="a", kernel=(3, 3), stride=(1, 2), padding=(1, 1)),
                Conv(input="a", output="x", weight="wide", padding=(1, 2)),
            ],
            (3 + 2, 3 + 4 * 2),
        ),
        # after a residual norm every frame counts
        ([ResidualNorm(input=INPUT, output="a"), Conv(input="a", output="x", weight="tall")], (4, 64)),
        # a sum has the wider field of its inputs, along each axis separately
        (
            [
                Conv(input=INPUT, output="a", weight="tall", padding=(3, 0), dilation=(2, 1)),
                Conv(input=INPUT, output="b", weight="wide", padding=(1, 2)),
                Add(inputs=("b", "a"), output="x"),
            ],
            (7, 5),
        ),
    ],
)
def test_receptive_field_equals_the_value_by_hand(nodes: list[Node], field: tuple[int, int]) -> None:
    used = {name: CONVOLUTIONS[name] for node in nodes for name in node.arrays}
    assert receptive_field([*nodes, *END], used, (1, 64, 64)) == field


def peak(nodes: list[Node], shape: tuple[int, int, int] = (1, 8, 6), **arrays: tuple[int, ...]) -> float:
    """Return the maximum count of numbers in memory."""
    return peak_activation_bytes(nodes, arrays, shape) / 4


WINDOW = 8 * 6


def test_peak_of_a_chain_is_its_largest_step() -> None:
    nodes = [
        Conv(input=INPUT, output="a", weight="one"),  # 48 + 96
        Conv(input="a", output="b", weight="two"),  # 96 + 192
        Conv(input="b", output="x", weight="three"),  # 192 + 48
        *END,
    ]
    arrays = {"one": (2, 1, 1, 1), "two": (4, 2, 1, 1), "three": (1, 4, 1, 1)}
    assert peak(nodes, **arrays) == (2 + 4) * WINDOW


@pytest.mark.parametrize("kind", [Relu, Silu, ResidualNorm])
def test_peak_of_an_operation_in_place_is_its_input(kind: type[Relu | Silu | ResidualNorm]) -> None:
    nodes = [
        ScaleShift(input=INPUT, output="standard", scale="s", shift="t"),
        kind(input="standard", output="x"),
        *END,
    ]
    assert peak(nodes, s=(1, 1), t=(1, 1)) == WINDOW + 1  # the map and its mean


@pytest.mark.parametrize("pool", [MaxPool, functools.partial(AveragePool, padding=(0, 0))], ids=["max", "average"])
def test_peak_of_a_pool_holds_input_and_output(pool: type[MaxPool | AveragePool]) -> None:
    nodes = [pool(input=INPUT, output="x", kernel=(1, 1), stride=(1, 1)), *END]
    assert peak(nodes) == 2 * WINDOW


def test_peak_of_a_residual_includes_the_shortcut() -> None:
    nodes = [
        Conv(input=INPUT, output="a", weight="one"),  # 1 + 1
        Relu(input="a", output="relu"),  # over a; it is read again below
        Conv(input="relu", output="b", weight="wide"),  # 1 + 3
        Conv(input="b", output="c", weight="narrow"),  # 1 + 3 + 1
        Add(inputs=("c", "relu"), output="x"),  # over either
        *END,
    ]
    arrays = {"one": (1, 1, 1, 1), "wide": (3, 1, 1, 1), "narrow": (1, 3, 1, 1)}
    assert peak(nodes, **arrays) == 5 * WINDOW


def test_peak_keeps_a_value_that_is_read_later() -> None:
    def peak_of_sum(last: str) -> float:
        return peak([Relu(input=INPUT, output="relu"), Add(inputs=("relu", last), output="x"), *END])

    assert peak_of_sum(INPUT) == 2 * WINDOW  # input and ReLU; the sum overwrites one of them
    assert peak_of_sum("relu") == WINDOW + 1


def test_peak_of_a_sum_whose_inputs_are_read_later_is_three() -> None:
    nodes = [
        Relu(input=INPUT, output="a"),  # 2: the input is read again
        Add(inputs=("a", INPUT), output="b"),  # 3: both are read again
        Add(inputs=("b", "a"), output="c"),  # over b
        Add(inputs=("c", INPUT), output="x"),
        *END,
    ]
    assert peak(nodes) == 3 * WINDOW


def test_peak_of_a_broadcast_sum_overwrites_the_larger_input() -> None:
    nodes = [
        FrequencyMeanPool(input=INPUT, output="row"),  # 48 + 6
        Add(inputs=("row", INPUT), output="x"),  # over the input
        *END,
    ]
    assert peak(nodes) == WINDOW + 6
    kept = [*nodes[:-2], Add(inputs=("x", INPUT), output="y"), GlobalMeanPool(input="y", output="z")]
    kept.append(Softmax(input="z", output=OUTPUT))
    assert peak(kept) == WINDOW + 6 + WINDOW  # the row is too small to be overwritten
