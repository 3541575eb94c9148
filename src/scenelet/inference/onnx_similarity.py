"""ONNX operations after a network: the embedding of a window, and its similarity to the nearest class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenelet.model.known_sounds import KnownSounds, embedding_values, unit_rows
from scenelet.model.ops import EMBEDDING, SIMILARITY, Node, Shape

if TYPE_CHECKING:
    import onnx

MIN_LENGTH = 1e-30  # of an embedding, so that the similarity of a zero vector is 0


def embedding_operations(nodes: Sequence[Node], value_shapes: Mapping[str, Shape]) -> list["onnx.NodeProto"]:
    """Return the operations that write the embedding, see `scenelet.model.known_sounds.embedding_values`."""
    operations, means = [], []
    for value in embedding_values(nodes):
        means.append(value)
        if len(value_shapes[value]) == 3:
            means[-1] = f"{value}:mean"
            operations.append(_operation("GlobalAveragePool", [value], f"{value}:mean-pooled"))
            operations.append(_operation("Flatten", [f"{value}:mean-pooled"], f"{value}:mean", axis=1))
    return [*operations, _operation("Concat", means, EMBEDDING, axis=1)]


def similarity_operations(known: KnownSounds) -> tuple[list["onnx.NodeProto"], dict[str, NDArray[np.float32]]]:
    """Return the operations that write the similarity of the embedding, and their weights.

    The similarity is that of `scenelet.model.known_sounds.similarities`.
    """
    import onnx

    part = f"{SIMILARITY}:{{}}".format
    weights = {
        part("means"): np.ascontiguousarray(unit_rows(known.means).T, np.float32),
        part("minimum"): np.full((1, 1), MIN_LENGTH, np.float32),
    }
    axis = onnx.helper.make_tensor(part("axis"), onnx.TensorProto.INT64, [1], [1])
    operations = [
        _operation("Constant", [], part("axis"), value=axis),
        _operation("ReduceL2", [EMBEDDING, part("axis")], part("norm"), keepdims=1),
        _operation("Max", [part("norm"), part("minimum")], part("length")),
        _operation("MatMul", [EMBEDDING, part("means")], part("products")),
        _operation("ReduceMax", [part("products"), part("axis")], part("highest"), keepdims=1),
        _operation("Div", [part("highest"), part("length")], SIMILARITY),
    ]
    return operations, weights


def _operation(op: str, inputs: list[str], output: str, **attributes: Any) -> "onnx.NodeProto":
    from onnx import helper

    return helper.make_node(op, inputs, [output], name=output, **attributes)
