"""Operations that a stored network may consist of.

A network is a list of nodes in the order in which they run. A node names the values that it reads, the value that it
writes, and its arrays. Several nodes may name the same array, which is then stored once. All shapes omit the batch:
(channels, frequency, time), or (features,) after pooling.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

INPUT = "log_mel"
"""Name of the value that a network reads: raw log-mel (batch, channels, n_mels, frames)."""
OUTPUT = "probabilities"
"""Name of the value that the last node writes: (batch, classes)."""
EMBEDDING = ":embedding"
"""Name of the embedding in a graph: what the last layer of a network reads, (batch, values).

No value of a network has this name, because names of values have no colon."""
SIMILARITY = ":similarity"
"""Name of the similarity to the nearest class in a graph, (batch, 1), see `scenelet.model.known_sounds`."""
MAX_NODES = 4096
MAX_SIDE = 4096
"""Maximum of a kernel size, stride, padding or dilation."""
MAX_VALUES = 1 << 27
"""Maximum count of numbers in one intermediate value of one window: half a gigabyte in fp32."""

RESIDUAL_FACTOR = 0.1
"""Factor of the input in `ResidualNorm`."""
RESIDUAL_EPS = 1e-5
"""Number that `ResidualNorm` adds to a variance."""

# Printable ASCII without space and colon. `scenelet.inference.onnx_network` uses the colon in its own names.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-9;-~]+$")]
Step = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Padding = Annotated[int, Field(ge=0, le=MAX_SIDE)]
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
    padding: tuple[Padding, Padding] = (0, 0)
    groups: Step = 1
    dilation: tuple[Step, Step] = (1, 1)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return (self.weight,)


class ScaleShift(_OneInput):
    """Affine map x * scale + shift per sub-band; both arrays have the shape (sub_bands, channels) or (sub_bands, 1).

    Frequency is split into contiguous equal sub-bands. A norm with fixed statistics is such a map. With as many
    sub-bands as mel bands it is the standardization of the input. A value of the shape (classes,) has a single
    frequency; scaling it averages the logits of several networks.
    """

    op: Literal["ScaleShift"] = "ScaleShift"
    scale: Name
    shift: Name

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that this node uses."""
        return (self.scale, self.shift)


class ResidualNorm(_OneInput):
    """Residual normalization (Kim et al., 2021): 0.1 x + (x - mean) / sqrt(var + 1e-5).

    Each frequency has its own mean and variance, over the channels and frames of the window.
    """

    op: Literal["ResidualNorm"] = "ResidualNorm"


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


class AveragePool(_OneInput):
    """Mean over blocks of (frequency, time) with zero padding, whose zeros count. An incomplete block is dropped."""

    op: Literal["AveragePool"] = "AveragePool"
    kernel: tuple[Step, Step]
    stride: tuple[Step, Step]
    padding: tuple[Padding, Padding]


class FrequencyMeanPool(_OneInput):
    """Mean over frequency. The output has the shape (channels, 1, time)."""

    op: Literal["FrequencyMeanPool"] = "FrequencyMeanPool"


class GlobalMeanPool(_OneInput):
    """Mean over frequency and time. The output has the shape (channels,)."""

    op: Literal["GlobalMeanPool"] = "GlobalMeanPool"


class Flatten(_OneInput):
    """Reshape to (channels * frequency * time,), in which time varies fastest."""

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
    Conv
    | ScaleShift
    | ResidualNorm
    | Relu
    | Silu
    | Add
    | MaxPool
    | AveragePool
    | FrequencyMeanPool
    | GlobalMeanPool
    | Flatten
    | Linear
    | Softmax,
    Field(discriminator="op"),
]
