"""Tensors and operators of a TensorFlow Lite graph, as plain data under construction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPERATOR_VERSIONS = {
    "ADD": (1, 2),
    "AVERAGE_POOL_2D": (1, 2),
    "CONCATENATION": (1, 2),
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "LOGISTIC": (1, 2),
    "MAX_POOL_2D": (1, 2),
    "MEAN": (1, 2),
    "MUL": (1, 2),
    "PAD": (1, 2),
    "RELU": (1, 2),
    "RESHAPE": (1, 1),
    "RSQRT": (1, 2),
    "SLICE": (1, 2),
    "SOFTMAX": (1, 2),
    "SQUARED_DIFFERENCE": (1, 2),
    "SUB": (1, 2),
    "TRANSPOSE": (1, 2),
}
"""Mapping from an operator to its version in float and in int8."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """Tensor of a graph.

    Attributes:
        name: its name.
        shape: its shape, batch included.
        dtype: float32, int8 or int32.
        data: the numbers of a constant, or None.
        steps, zero_points: its quantization, one entry for all numbers or one for each index of `axis`; empty in float.
        axis: the axis of steps per channel.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: NDArray[Any] | None = None
    steps: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True)
class Operator:
    """Operator of a graph. `inputs` and `output` are indices of tensors; `options` are those of the schema."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    options: Mapping[str, Any]


@dataclass
class Graph:
    """Graph under construction, with one input and one output.

    >>> graph = Graph()
    >>> x = graph.tensor("x", (1, 2), np.float32)
    >>> y = graph.apply("RELU", [x], "y", (1, 2))
    >>> graph.operators
    [Operator(kind='RELU', inputs=(0,), output=1, options={})]
    """

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)

    def tensor(self, name: str, shape: Sequence[int], dtype: Any, **fields: Any) -> int:
        """Add a tensor and return its index."""
        self.tensors.append(Tensor(name, tuple(map(int, shape)), np.dtype(dtype), **fields))
        return len(self.tensors) - 1

    def constant(self, name: str, data: NDArray[Any], **fields: Any) -> int:
        """Add a constant and return its index."""
        return self.tensor(name, data.shape, data.dtype, data=data, **fields)

    def integers(self, name: str, numbers: Any) -> int:
        """Add a constant of 32-bit integers, such as a shape, and return its index."""
        return self.constant(name, np.asarray(numbers, np.int32))

    def apply(
        self,
        kind: str,
        inputs: Sequence[int],
        name: str,
        shape: Sequence[int],
        *,
        like: int | None = None,
        step: float | None = None,
        zero_point: int = 0,
        **options: Any,
    ) -> int:
        """Add an operator and its result, and return the result's index.

        Args:
            kind: the operator.
            inputs: indices of tensors.
            name, shape: of the result.
            like: a tensor whose type and quantization the result has, by default the first input.
            step, zero_point: the quantization of an int8 result, if it differs.
            options: options of the operator.
        """
        source = self.tensors[inputs[0] if like is None else like]
        steps, zero_points = source.steps, source.zero_points
        if step is not None and source.dtype == np.int8:
            steps, zero_points = (step,), (zero_point,)
        output = self.tensor(name, shape, source.dtype, steps=steps, zero_points=zero_points)
        self.operators.append(Operator(kind, tuple(inputs), output, options))
        return output

    def pad(self, source: int, name: str, pads: tuple[tuple[int, int], tuple[int, int]]) -> int:
        """Add zeros (before, after) in frequency and in time around a tensor; return it unchanged if there are none."""
        if pads == ((0, 0), (0, 0)):
            return source
        _, frequencies, frames, channels = self.tensors[source].shape
        shape = (1, frequencies + sum(pads[0]), frames + sum(pads[1]), channels)
        counts = self.integers(f"{name}/pads", [(0, 0), *pads, (0, 0)])
        return self.apply("PAD", [source, counts], f"{name}/padded", shape)

    def transpose(self, source: int, name: str, order: Sequence[int]) -> int:
        """Add a transposition and return the index of its result."""
        shape = [self.tensors[source].shape[axis] for axis in order]
        return self.apply("TRANSPOSE", [source, self.integers(f"{name}/order", order)], name, shape)

    def reshape(self, source: int, name: str, shape: Sequence[int]) -> int:
        """Add a change of shape and return the index of its result."""
        return self.apply("RESHAPE", [source, self.integers(f"{name}/shape", shape)], name, shape)
