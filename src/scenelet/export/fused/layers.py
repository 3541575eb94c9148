"""Layers of a fused network.

Values have the shape (frequency, time, channels), with channels last as in TensorFlow Lite. A vector of n numbers is
(1, 1, n). A layer has the name of the value that it writes, which is the name of a value of the model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Shape = tuple[int, int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]
"""Zeros (before, after) in frequency, and in time."""


@dataclass(frozen=True, eq=False)
class Weight:
    """Weights of a convolution as stored, on steps per output channel.

    Attributes:
        name: the name of the array in the model. Several layers may share it.
        integers: int8 from -127 to 127, (out, kernel F, kernel T, in / groups).
        steps: (out,) float64, larger than 0. A weight is an integer times the step of its channel.
        exact: True if the model stores these integers; False if they are rounded from fp16 or fp32.
        values: the model's weights in float32, in the shape of `integers`.
    """

    name: str
    integers: NDArray[np.int8]
    steps: NDArray[np.float64]
    exact: bool
    values: Values


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution, an affine map per sub-band and channel, and an optional ReLU.

    The result is `scale * convolution + shift`. The output's frequencies are split into contiguous equal sub-bands, one
    per row of `scale` and `shift`.

    Attributes:
        name: the value that it writes.
        input: the value that it reads.
        weight: the weights.
        scale, shift: (sub_bands, out) float32.
        stride, dilation: in frequency and time.
        pads: zeros around the input.
        groups: groups of channels. With as many groups as input channels, the convolution is depthwise.
        relu: True if a ReLU follows.
    """

    name: str
    input: str
    weight: Weight
    scale: Values
    shift: Values
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: Pads = ((0, 0), (0, 0))
    groups: int = 1
    relu: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that the layer reads."""
        return (self.input,)

    @property
    def kernel(self) -> tuple[int, int]:
        """Size of the kernel in frequency and time."""
        return self.weight.values.shape[1], self.weight.values.shape[2]


@dataclass(frozen=True)
class Add:
    """Sum of two values and an optional ReLU. A value with one frequency is added to every frequency of the other."""

    name: str
    inputs: tuple[str, str]
    relu: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that the layer reads."""
        return self.inputs


@dataclass(frozen=True)
class OneInput:
    """Layer without weights that reads one value."""

    name: str
    input: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that the layer reads."""
        return (self.input,)


class Relu(OneInput):
    """Rectified linear unit that could not be fused."""


class Silu(OneInput):
    """Sigmoid linear unit, x * sigmoid(x)."""


class ResidualNorm(OneInput):
    """Residual normalization, see `scenelet.model.ops.ResidualNorm`."""


class FrequencyMean(OneInput):
    """Mean over frequency: (1, time, channels)."""


class GlobalMean(OneInput):
    """Mean over frequency and time: (1, 1, channels)."""


class Flatten(OneInput):
    """All numbers in one row, (1, 1, n), in the order channels, frequency, time (time fastest)."""


class Softmax(OneInput):
    """Softmax over channels."""


@dataclass(frozen=True)
class MaxPool(OneInput):
    """Maximum over blocks of (frequency, time) without padding."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class AveragePool(OneInput):
    """Mean over blocks of (frequency, time). The zeros of the padding count as values."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads


Layer = Conv | Add | Relu | Silu | ResidualNorm | MaxPool | AveragePool | FrequencyMean | GlobalMean | Flatten | Softmax


@dataclass(frozen=True, eq=False)
class FusedNetwork:
    """Fused network in the order in which it runs.

    Attributes:
        layers: the first one reads `scenelet.model.ops.INPUT`, the last one writes `scenelet.model.ops.OUTPUT`.
        shapes: the shape of every value by name.
    """

    layers: tuple[Layer, ...]
    shapes: dict[str, Shape]
