"""Operations that a stored network may consist of, and the shapes of their results.

A network is a list of nodes in the order in which they run. A node names the values that it reads, the value that it
writes, and its arrays. Several nodes may name the same array, which is then stored once. All shapes omit the batch:
(channels, frequency, time), or (features,) after pooling.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scenelet.errors import ModelFileError

INPUT = "log_mel"
"""Name of the value that a network reads: raw log-mel (batch, channels, n_mels, frames)."""
OUTPUT = "probabilities"
"""Name of the value that the last node writes: (batch, classes)."""
MAX_NODES = 4096
MAX_SIDE = 4096
"""Maximum of a kernel size, stride, padding or dilation."""
MAX_VALUES = 1 << 27
"""Maximum count of numbers in one intermediate value of one window: half a gigabyte in fp32."""

# Printable ASCII without space and colon. `scenelet.inference.onnx_network` uses the colon in its own names.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-9;-~]+$")]
Step = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Shape = tuple[int, ...]


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    output: Name

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return ()


class _OneInput(_Node):
    input: Name

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that this node reads."""
        return (self.input,)


class Conv(_OneInput):
    """Cross-correlation without bias, with zero padding.

    The weight has the shape (out, in / groups, kernel F, kernel T). `dilation` is the distance between neighboring
    taps of the kernel; 1 is a dense kernel.
    """

    op: Literal["Conv"] = "Conv"
    weight: Name
    stride: tuple[Step, Step] = (1, 1)
    padding: tuple[Annotated[int, Field(ge=0, le=MAX_SIDE)], Annotated[int, Field(ge=0, le=MAX_SIDE)]] = (0, 0)
    groups: Step = 1
    dilation: tuple[Step, Step] = (1, 1)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return (self.weight,)


class ScaleShift(_OneInput):
    """Affine map x * scale + shift per sub-band; both arrays have the shape (sub_bands, channels) or (sub_bands, 1).

    Frequency is split into contiguous equal sub-bands. A norm with fixed statistics is such a map. With as many
    sub-bands as mel bands it is the standardization of the input.
    """

    op: Literal["ScaleShift"] = "ScaleShift"
    scale: Name
    shift: Name

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return (self.scale, self.shift)


class Relu(_OneInput):
    """Rectified linear unit, max(x, 0)."""

    op: Literal["Relu"] = "Relu"


class Silu(_OneInput):
    """Sigmoid linear unit (swish), x * sigmoid(x)."""

    op: Literal["Silu"] = "Silu"


class Add(_Node):
    """Sum a + b of two values of the same shape. If one has a single frequency, it is added to every frequency."""

    op: Literal["Add"] = "Add"
    inputs: tuple[Name, Name]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that this node reads."""
        return self.inputs


class MaxPool(_OneInput):
    """Maximum over blocks of (frequency, time) without padding. An incomplete block at the end is dropped."""

    op: Literal["MaxPool"] = "MaxPool"
    kernel: tuple[Step, Step]
    stride: tuple[Step, Step]


class FrequencyMeanPool(_OneInput):
    """Mean over frequency: (channels, frequency, time) -> (channels, 1, time)."""

    op: Literal["FrequencyMeanPool"] = "FrequencyMeanPool"


class GlobalMeanPool(_OneInput):
    """Mean over frequency and time: (channels, frequency, time) -> (channels,)."""

    op: Literal["GlobalMeanPool"] = "GlobalMeanPool"


class Flatten(_OneInput):
    """Reshape (channels, frequency, time) -> (channels * frequency * time,), in which time varies fastest."""

    op: Literal["Flatten"] = "Flatten"


class Linear(_OneInput):
    """Dense layer: weight (out, in) times x, plus bias (out,)."""

    op: Literal["Linear"] = "Linear"
    weight: Name
    bias: Name

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return (self.weight, self.bias)


class Softmax(_OneInput):
    """Softmax over the classes, exp(x) / sum of exp(x)."""

    op: Literal["Softmax"] = "Softmax"


Node = Annotated[
    Conv | ScaleShift | Relu | Silu | Add | MaxPool | FrequencyMeanPool | GlobalMeanPool | Flatten | Linear | Softmax,
    Field(discriminator="op"),
]


def shapes(nodes: Sequence[Node], array_shapes: Mapping[str, Shape], input_shape: Shape) -> dict[str, Shape]:
    """Return the shape of every value of a network by its name, and check the network.

    Args:
        nodes: the network, in the order in which it runs.
        array_shapes: the shape of every stored array.
        input_shape: (channels, n_mels, frames) of "log_mel".

    Raises:
        ModelFileError: a value is unknown or written twice, an array is missing or unused, shapes do not fit, or the
            last node is not the softmax that writes "probabilities".

    >>> nodes = [GlobalMeanPool(input="log_mel", output="mean"), Softmax(input="mean", output="probabilities")]
    >>> shapes(nodes, {}, (2, 64, 100))
    {'log_mel': (2, 64, 100), 'mean': (2,), 'probabilities': (2,)}
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ModelFileError(f"input: shape {tuple(input_shape)} is not (channels, n_mels, frames)")
    if not 0 < len(nodes) <= MAX_NODES:
        raise ModelFileError(f"a network has 1 to {MAX_NODES} nodes, this one has {len(nodes)}")
    known: dict[str, Shape] = {INPUT: tuple(input_shape)}
    for index, node in enumerate(nodes):
        where = f"node {index} ({node.op} {node.output!r})"
        for name in node.reads:
            if name not in known:
                raise ModelFileError(f"{where} reads {name!r}, which no node before it writes")
        for name in node.arrays:
            if name not in array_shapes:
                raise ModelFileError(f"{where} uses the array {name!r}, which is missing")
        if node.output in known:
            raise ModelFileError(f"{where} writes {node.output!r}, which is written already")
        shape = _output_shape(node, [known[name] for name in node.reads], array_shapes, where)
        if min(shape) < 1:
            raise ModelFileError(f"{where}: its input is too small, the result would be empty")
        if math.prod(shape) > MAX_VALUES:
            raise ModelFileError(f"{where}: a value of {math.prod(shape)} numbers is too large (limit {MAX_VALUES})")
        known[node.output] = shape
    if nodes[-1].op != "Softmax" or nodes[-1].output != OUTPUT:
        raise ModelFileError(f"the last node must be a Softmax that writes {OUTPUT!r}, it is {where}")
    unused = set(array_shapes) - {name for node in nodes for name in node.arrays}
    if unused:
        raise ModelFileError(f"the array {min(unused)!r} is used by no node")
    return known


def _output_shape(node: Node, inputs: list[Shape], arrays: Mapping[str, Shape], where: str) -> Shape:
    """Return the shape of a node's result from the shapes of its inputs. `where` names the node in errors."""
    shape = inputs[0]
    match node:
        case Relu() | Silu():
            return shape
        case Add():
            return _sum(shape, inputs[1], where)
        case Linear():
            return _linear(arrays[node.weight], arrays[node.bias], shape, where)
        case Softmax():
            if len(shape) != 1:
                raise ModelFileError(f"{where} reads the shape {shape}, not (classes,)")
            return shape
    if len(shape) != 3:
        raise ModelFileError(f"{where} reads the shape {shape}, not (channels, frequency, time)")
    match node:
        case Conv():
            return _conv(node, arrays[node.weight], shape, where)
        case ScaleShift():
            return _scale_shift(arrays[node.scale], arrays[node.shift], shape, where)
        case MaxPool():
            return shape[0], *((n - k) // s + 1 for n, k, s in zip(shape[1:], node.kernel, node.stride, strict=True))
        case FrequencyMeanPool():
            return shape[0], 1, shape[2]
        case GlobalMeanPool():
            return (shape[0],)
        case Flatten():
            return (math.prod(shape),)


def _conv(node: Conv, weight: Shape, shape: Shape, where: str) -> Shape:
    if len(weight) != 4 or weight[1] * node.groups != shape[0] or weight[0] % node.groups:
        raise ModelFileError(f"{where}: weight {weight} in {node.groups} groups does not fit {shape[0]} channels")
    if max(weight[2:]) > MAX_SIDE:
        raise ModelFileError(f"{where}: a kernel of {weight[2]} x {weight[3]} is too large (limit {MAX_SIDE})")
    spans = [(k - 1) * dilation + 1 for k, dilation in zip(weight[2:], node.dilation, strict=True)]
    axes = zip(shape[1:], spans, node.padding, node.stride, strict=True)
    return weight[0], *((n + 2 * pad - span) // stride + 1 for n, span, pad, stride in axes)


def _sum(a: Shape, b: Shape, where: str) -> Shape:
    compatible = a == b or (len(a) == len(b) == 3 and a[0] == b[0] and a[2] == b[2])
    if not compatible or (a != b and 1 not in (a[1], b[1])):
        raise ModelFileError(f"{where} adds the shapes {a} and {b}")
    return max(a, b)


def _scale_shift(scale: Shape, shift: Shape, shape: Shape, where: str) -> Shape:
    if scale != shift or len(scale) != 2 or scale[1] not in (1, shape[0]):
        raise ModelFileError(f"{where}: scale {scale} and shift {shift} do not fit {shape[0]} channels")
    if shape[1] % scale[0]:
        raise ModelFileError(f"{where}: {shape[1]} frequencies do not split into {scale[0]} equal sub-bands")
    return shape


def _linear(weight: Shape, bias: Shape, shape: Shape, where: str) -> Shape:
    if len(weight) != 2 or weight[1:] != shape or bias != weight[:1]:
        raise ModelFileError(f"{where}: weight {weight} and bias {bias} do not fit the input {shape}")
    return bias
