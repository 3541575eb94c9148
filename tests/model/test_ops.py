"""Nodes that are refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from scenelet.model.ops import Node


def test_node_refuses_unknown_operations_and_settings() -> None:
    adapter = TypeAdapter(Node)
    for bad in (
        {"op": "Loop", "input": "a", "output": "b"},
        {"op": "Relu", "input": "a", "output": "b", "alpha": 1},
        {"op": "Relu", "input": "a", "output": "b:c"},
        {"op": "Relu", "input": "a", "output": ""},
        {"op": "MaxPool", "input": "a", "output": "b", "kernel": [0, 1], "stride": [1, 1]},
        {"op": "Conv", "input": "a", "output": "b", "weight": "w", "padding": [-1, 0]},
        {"op": "Conv", "input": "a", "output": "b", "weight": "w", "dilation": [0, 1]},
        {"op": "Add", "inputs": ["a"], "output": "b"},
        {"op": "FrequencyMeanPool", "input": "a", "output": "b", "kernel": [2, 1]},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)
    node = adapter.validate_python({"op": "Relu", "input": "a", "output": "b"})
    with pytest.raises(ValidationError):
        node.input = "c"
