"""Shapes, what is refused, and multiply-accumulates counted by hand."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from scenelet.errors import ModelFileError
from scenelet.nodes import (
    INPUT,
    OUTPUT,
    Add,
    Conv,
    Flatten,
    GlobalMeanPool,
    Linear,
    MaxPool,
    Node,
    Relu,
    ScaleShift,
    Softmax,
    layer_macs,
    macs,
    shapes,
)
from tiny_model import random_network, tiny_model

END = [GlobalMeanPool(input="x", output="logits"), Softmax(input="logits", output=OUTPUT)]


def test_shapes_of_every_node() -> None:
    nodes = [
        ScaleShift(input=INPUT, output="standard", scale="s", shift="t"),
        Conv(input="standard", output="stem", weight="w", stride=(2, 1), padding=(2, 0)),
        Relu(input="stem", output="relu"),
        Add(inputs=("relu", "stem"), output="sum"),
        MaxPool(input="sum", output="pooled", kernel=(2, 3), stride=(2, 2)),
        Flatten(input="pooled", output="flat"),
        Linear(input="flat", output="logits", weight="dense", bias="bias"),
        Softmax(input="logits", output=OUTPUT),
    ]
    arrays = {"s": (16, 1), "t": (16, 1), "w": (8, 2, 5, 3), "dense": (3, 8 * 4 * 4), "bias": (3,)}
    known = shapes(nodes, arrays, (2, 16, 12))
    assert known["stem"] == known["relu"] == known["sum"] == (8, 8, 10)
    assert known["pooled"] == (8, 4, 4)
    assert known["flat"] == (128,)
    assert known[OUTPUT] == (3,)
    conv, dense = 8 * 8 * 10 * 2 * 5 * 3, 3 * 128
    assert layer_macs(nodes, arrays, (2, 16, 12)) == [0, conv, 0, 0, 0, 0, dense, 0]
    assert macs(nodes, arrays, (2, 16, 12)) == conv + dense


def test_macs_of_grouped_convolution_divide_by_groups() -> None:
    nodes = [Conv(input=INPUT, output="x", weight="w", padding=(1, 1), groups=4), *END]
    assert macs(nodes, {"w": (8, 1, 3, 3)}, (4, 5, 6)) == 8 * 5 * 6 * 9


CONV = Conv(input=INPUT, output="x", weight="w")
NORM = ScaleShift(input=INPUT, output="x", scale="s", shift="t")


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
        ([CONV, *END], {"w": (4, 2, 9, 3)}, "too short"),
        ([MaxPool(input=INPUT, output="x", kernel=(9, 1), stride=(1, 1)), *END], {}, "too short"),
        ([NORM, *END], {"s": (3, 2), "t": (3, 2)}, "8 frequencies do not split into 3 equal sub-bands"),
        ([NORM, *END], {"s": (2, 3), "t": (2, 3)}, "do not fit 2 channels"),
        ([NORM, *END], {"s": (2, 2), "t": (2, 1)}, "do not fit 2 channels"),
        ([CONV, Add(inputs=("x", INPUT), output="sum"), *END], {"w": (2, 2, 3, 3)}, "adds the shapes"),
        ([Relu(input=INPUT, output="x"), Softmax(input="x", output=OUTPUT)], {}, "not (classes,)"),
        ([Relu(input=INPUT, output="x"), END[0], GlobalMeanPool(input="logits", output="y")], {}, "reads the shape"),
        ([Flatten(input=INPUT, output="x"), Linear(input="x", output="y", weight="w", bias="b")],
         {"w": (3, 5), "b": (3,)}, "do not fit the input (96,)"),
        ([Flatten(input=INPUT, output="x"), Linear(input="x", output="y", weight="w", bias="b")],
         {"w": (3, 96), "b": (1,)}, "do not fit the input (96,)"),
        ([Relu(input=INPUT, output="x"), END[0]], {}, "last node is a Softmax"),
        ([Relu(input=INPUT, output="x"), *END], {"w": (1,)}, "'w' is used by no node"),
        ([CONV.model_copy(update={"padding": (4096, 4096)}), *END], {"w": (4, 2, 1, 1)}, "too large"),
        ([], {}, "nodes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(nodes, arrays, message) -> None:
    with pytest.raises(ModelFileError) as caught:
        shapes(nodes, arrays, (2, 8, 6))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_set_is_closed() -> None:
    adapter = TypeAdapter(Node)
    for bad in (
        {"op": "Loop", "input": "a", "output": "b"},
        {"op": "Relu", "input": "a", "output": "b", "alpha": 1},
        {"op": "Relu", "input": "a", "output": "b:c"},
        {"op": "Relu", "input": "a", "output": ""},
        {"op": "MaxPool", "input": "a", "output": "b", "kernel": [0, 1], "stride": [1, 1]},
        {"op": "Conv", "input": "a", "output": "b", "weight": "w", "padding": [-1, 0]},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)
    node = adapter.validate_python({"op": "Relu", "input": "a", "output": "b"})
    with pytest.raises(ValidationError):
        node.input = "c"


def test_builders_of_the_other_tests_agree_with_shapes() -> None:
    model = tiny_model()
    assert shapes(model.nodes, model.array_shapes, model.input_shape)[OUTPUT] == (3,)
    for seed in range(20):
        net = random_network(seed)
        known = shapes(net.nodes, {name: np.shape(a) for name, a in net.arrays.items()}, net.input_shape)
        pooled = next(node for node in net.nodes if node.op == "GlobalMeanPool")
        assert known[pooled.input][1:] == net.shape[1:]
