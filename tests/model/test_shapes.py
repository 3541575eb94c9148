"""Shapes of every operation, and networks that are refused."""

import numpy as np
import pytest

from helpers.tiny_model import CHAIN, CHAIN_ARRAYS, END, random_network, tiny_model
from scenelet.errors import ModelFileError
from scenelet.model.ops import (
    INPUT,
    OUTPUT,
    Add,
    AveragePool,
    Conv,
    Flatten,
    FrequencyMeanPool,
    GlobalMeanPool,
    Linear,
    MaxPool,
    Relu,
    ResidualNorm,
    ScaleShift,
    Silu,
    Softmax,
)
from scenelet.model.shapes import shapes


def test_shapes_of_a_chain_of_all_operations() -> None:
    known = shapes(CHAIN, CHAIN_ARRAYS, (2, 16, 12))
    assert known["stem"] == known["relu"] == known["sum"] == (8, 8, 10)
    assert known["pooled"] == (8, 4, 4)
    assert known["flat"] == (128,)
    assert known[OUTPUT] == (3,)


@pytest.mark.parametrize("swapped", [False, True])
def test_shapes_of_a_broadcasted_block(swapped: bool) -> None:
    """A kernel of 3 with dilation 2 spans 5, and a row of time is added to all frequencies."""
    nodes = [
        Conv(input=INPUT, output="tall", weight="w", dilation=(1, 2)),
        FrequencyMeanPool(input="tall", output="row"),
        Silu(input="row", output="swish"),
        Add(inputs=("swish", "tall") if swapped else ("tall", "swish"), output="x"),
        *END,
    ]
    known = shapes(nodes, {"w": (4, 2, 3, 3)}, (2, 8, 6))
    assert known["tall"] == known["x"] == (4, 6, 2)
    assert known["row"] == known["swish"] == (4, 1, 2)
    assert known[OUTPUT] == (4,)


def test_shapes_of_silu_and_sum_of_flat_values() -> None:
    nodes = [
        GlobalMeanPool(input=INPUT, output="mean"),
        Silu(input="mean", output="swish"),
        Add(inputs=("mean", "swish"), output="sum"),
        Softmax(input="sum", output=OUTPUT),
    ]
    assert shapes(nodes, {}, (2, 8, 6))["sum"] == (2,)


def test_shapes_of_a_convolution_that_just_fits() -> None:
    nodes = [Conv(input=INPUT, output="x", weight="w", stride=(2, 2), padding=(1, 0), dilation=(4, 5)), *END]
    assert shapes(nodes, {"w": (4, 2, 3, 2)}, (2, 8, 6))["x"] == (4, 1, 1)


def test_shapes_of_an_average_pool_include_its_padding() -> None:
    nodes = [
        ResidualNorm(input=INPUT, output="norm"),
        AveragePool(input="norm", output="x", kernel=(3, 3), stride=(1, 2), padding=(1, 1)),
        *END,
    ]
    known = shapes(nodes, {}, (2, 8, 6))
    assert known["norm"] == (2, 8, 6)
    assert known["x"] == (2, 8, 3)


AVERAGE = AveragePool(input=INPUT, output="x", kernel=(3, 3), stride=(1, 2), padding=(1, 1))
CONV = Conv(input=INPUT, output="x", weight="w")
NORM = ScaleShift(input=INPUT, output="x", scale="s", shift="t")
ROW = [FrequencyMeanPool(input=INPUT, output="row"), GlobalMeanPool(input="row", output="mean")]


@pytest.mark.parametrize(
    ("nodes", "arrays", "message"),
    [
        ([Relu(input="y", output="x"), *END], {}, "reads 'y', which no node"),
        ([CONV, *END], {}, "'w', which is missing"),
        ([Relu(input=INPUT, output=INPUT), *END], {}, "written already"),
        ([Relu(input=INPUT, output="x"), Relu(input=INPUT, output="x"), *END], {}, "written already"),
        ([CONV, *END], {"w": (4, 3, 3, 3)}, "does not fit 2 channels"),
        ([CONV, *END], {"w": (4, 2, 3)}, "does not fit 2 channels"),
        ([CONV.model_copy(update={"groups": 2}), *END], {"w": (3, 1, 3, 3)}, "2 groups"),
        ([CONV, *END], {"w": (4, 2, 9, 3)}, "too small"),
        ([CONV.model_copy(update={"dilation": (4, 1)}), *END], {"w": (4, 2, 3, 3)}, "too small"),
        ([CONV.model_copy(update={"dilation": (1, 3)}), *END], {"w": (4, 2, 3, 3)}, "too small"),
        ([MaxPool(input=INPUT, output="x", kernel=(9, 1), stride=(1, 1)), *END], {}, "too small"),
        ([AVERAGE.model_copy(update={"padding": (3, 0)}), *END], {}, "padding (3, 0) is not smaller than the kernel"),
        ([AVERAGE.model_copy(update={"kernel": (11, 3)}), *END], {}, "too small"),
        ([*ROW, ResidualNorm(input="mean", output="x"), *END], {}, "not (channels, frequency, time)"),
        ([NORM, *END], {"s": (3, 2), "t": (3, 2)}, "8 frequencies do not split into 3 equal sub-bands"),
        ([NORM, *END], {"s": (2, 3), "t": (2, 3)}, "do not fit 2 channels"),
        ([NORM, *END], {"s": (2, 2), "t": (2, 1)}, "do not fit 2 channels"),
        ([CONV, Add(inputs=("x", INPUT), output="sum"), *END], {"w": (2, 2, 3, 3)}, "adds the shapes"),
        ([CONV, Add(inputs=(INPUT, "x"), output="sum"), *END], {"w": (2, 2, 3, 1)}, "adds the shapes"),
        ([CONV, Add(inputs=("x", INPUT), output="sum"), *END], {"w": (2, 2, 1, 6)}, "adds the shapes"),
        ([CONV, Add(inputs=("x", INPUT), output="sum"), *END], {"w": (4, 2, 8, 1)}, "adds the shapes"),
        ([CONV, Add(inputs=("x", INPUT), output="sum"), *END], {"w": (2, 2, 8, 3)}, "adds the shapes"),
        ([*ROW, Add(inputs=("row", "mean"), output="x"), *END], {}, "adds the shapes"),
        ([*ROW, FrequencyMeanPool(input="mean", output="x"), *END], {}, "not (channels, frequency, time)"),
        ([*ROW, NORM.model_copy(update={"input": "row"}), *END], {"s": (2, 2), "t": (2, 2)}, "1 frequencies do not"),
        ([Silu(input="y", output="x"), *END], {}, "reads 'y', which no node"),
        ([Relu(input=INPUT, output="x"), Softmax(input="x", output=OUTPUT)], {}, "not (classes,)"),
        ([Relu(input=INPUT, output="x"), END[0], GlobalMeanPool(input="logits", output="y")], {}, "reads the shape"),
        ([Flatten(input=INPUT, output="x"), Linear(input="x", output="y", weight="w", bias="b")],
         {"w": (3, 5), "b": (3,)}, "do not fit the input (96,)"),
        ([Flatten(input=INPUT, output="x"), Linear(input="x", output="y", weight="w", bias="b")],
         {"w": (3, 96), "b": (1,)}, "do not fit the input (96,)"),
        ([Relu(input=INPUT, output="x"), END[0]], {}, "the last node must be a Softmax"),
        ([Relu(input=INPUT, output="x"), *END], {"w": (1,)}, "'w' is used by no node"),
        ([Relu(input=INPUT, output="x"), Silu(input="x", output="y"), *END], {}, "writes a value that no node reads"),
        ([CONV.model_copy(update={"padding": (4096, 4096)}), *END], {"w": (4, 2, 1, 1)}, "too large"),
        ([], {}, "nodes"),
    ],
)  # fmt: skip
def test_shapes_refuses_an_invalid_network_in_one_line(nodes, arrays, message) -> None:
    with pytest.raises(ModelFileError) as caught:
        shapes(nodes, arrays, (2, 8, 6))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shapes_agree_with_the_test_builders() -> None:
    model = tiny_model()
    assert shapes(model.nodes, model.array_shapes, model.input_shape)[OUTPUT] == (3,)
    for seed in range(20):
        net = random_network(seed)
        known = shapes(net.nodes, {name: np.shape(a) for name, a in net.arrays.items()}, net.input_shape)
        pooled = next(node for node in net.nodes if node.op == "GlobalMeanPool")
        assert known[pooled.input][1:] == net.shape[1:]
        assert all(known[name] == shape for name, shape in net.shapes.items() if len(known[name]) == 3)
