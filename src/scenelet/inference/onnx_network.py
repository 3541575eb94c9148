"""Conversion of a model's nodes to an ONNX graph, for export or for a runtime.

Only this module folds norms into the convolutions before them. It does so if the result is exact: the norm has one
sub-band, and nothing else reads the convolution's output.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenelet.config import FeatureConfig
from scenelet.inference.onnx_frontend import POWER, WAVEFORM, FrontendGraph
from scenelet.inference.onnx_similarity import embedding_operations, similarity_operations
from scenelet.model.known_sounds import KnownSounds, embedding_size
from scenelet.model.ops import (
    EMBEDDING,
    INPUT,
    OUTPUT,
    RESIDUAL_EPS,
    RESIDUAL_FACTOR,
    SIMILARITY,
    Add,
    AveragePool,
    Conv,
    Flatten,
    FrequencyMeanPool,
    GlobalMeanPool,
    Linear,
    MaxPool,
    Node,
    Relu,
    ResidualNorm,
    ScaleShift,
    Shape,
    Silu,
    Softmax,
)
from scenelet.model.shapes import shapes

if TYPE_CHECKING:
    import onnx

OPSET = 20
IR_VERSION = 10

Arrays = Mapping[str, NDArray[np.float32]]


def to_onnx(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    *,
    metadata: Mapping[str, str] | None = None,
    front: FrontendGraph | None = None,
    known: KnownSounds | None = None,
) -> "onnx.ModelProto":
    """Convert a network to an ONNX model that includes its weights, and check it with `onnx.checker`.

    The input is "log_mel" (batch, channels, n_mels, frames) and the output "probabilities" (batch, classes), for any
    batch size. With `front`, the input is "waveform" (1, channels, n) and the output (1, classes).

    Args:
        nodes, arrays: as `scenelet.model.ops`.
        input_shape: (channels, n_mels, frames).
        metadata: entries of the model's `metadata_props`.
        front: front end to put before the network, so that the graph takes samples.
        known: add the output "similarity" (batch, 1), see `scenelet.model.known_sounds.similarities`.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    import onnx

    value_shapes = _shapes(nodes, arrays, input_shape)
    operations, weights = _lower(nodes, arrays, value_shapes, known)
    value: tuple[str, list[Any]] = (INPUT, ["batch", *input_shape])
    if front is not None:
        operations, weights = [*front.operations, *operations], {**front.constants, **weights}
        value = WAVEFORM, [1, input_shape[0], front.samples]
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    outputs = [(OUTPUT, [value[1][0], *value_shapes[OUTPUT]])]
    outputs += [] if known is None else [(SIMILARITY, [value[1][0], 1])]
    model = _make_model(operations, initializers, value, *outputs)
    onnx.helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model, full_check=True)
    return model


def without_weights(
    nodes: Sequence[Node],
    arrays: Arrays,
    input_shape: Shape,
    *,
    embedding: bool = False,
    known: KnownSounds | None = None,
) -> tuple["onnx.ModelProto", dict[str, NDArray[np.float32]]]:
    """Convert a network to an ONNX model with external weights, and return both. `onnx.checker` is not run.

    A runtime can take the weights from memory, without a copy in the serialized model.

    Args:
        nodes, arrays, input_shape: as `to_onnx`.
        embedding: add the output "embedding" (batch, values), see `scenelet.model.known_sounds.embedding_values`.
        known: as `to_onnx`.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    import onnx

    value_shapes = _shapes(nodes, arrays, input_shape)
    operations, weights = _lower(nodes, arrays, value_shapes, known, embedding)
    outputs = [(OUTPUT, ["batch", *value_shapes[OUTPUT]])]
    outputs += [(EMBEDDING, ["batch", embedding_size(nodes, value_shapes)])] if embedding else []
    outputs += [(SIMILARITY, ["batch", 1])] if known is not None else []
    initializers = []
    for name, array in weights.items():
        external = onnx.TensorProto(
            name=name,
            data_type=onnx.TensorProto.FLOAT,
            dims=array.shape,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        external.external_data.add(key="location", value="memory")  # never opened
        initializers.append(external)
    return _make_model(operations, initializers, (INPUT, ["batch", *input_shape]), *outputs), weights


def mel_to_onnx(features: FeatureConfig) -> "onnx.ModelProto":
    """Convert the steps of the front end from the Fourier transforms on to an ONNX model, and check it.

    The input is "power" (channels, frames, n_fft // 2 + 1), see `scenelet.inference.onnx_frontend.POWER`. The output is
    "log_mel" (1, channels, n_mels, frames) in dB.

    >>> mel_to_onnx(FeatureConfig(channels="mono")).graph.output[0].name
    'log_mel'
    """
    import onnx

    front, channels = FrontendGraph(features, window=None), features.n_channels
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in front.constants.items()]
    value = POWER, [channels, "frames", features.n_fft // 2 + 1]
    model = _make_model(front.operations, initializers, value, (INPUT, [1, channels, features.n_mels, "frames"]))
    onnx.checker.check_model(model, full_check=True)
    return model


def _shapes(nodes: Sequence[Node], arrays: Arrays, input_shape: Shape) -> dict[str, Shape]:
    return shapes(nodes, {name: array.shape for name, array in arrays.items()}, input_shape)


def _make_model(
    operations: list[Any], initializers: list[Any], value: tuple[str, list[Any]], *outputs: tuple[str, list[Any]]
) -> "onnx.ModelProto":
    """Make a model of operations and weights. `value` and `outputs` are names and shapes."""
    import onnx
    from onnx import helper

    graph = helper.make_graph(
        operations,
        "scenelet",
        [helper.make_tensor_value_info(value[0], onnx.TensorProto.FLOAT, value[1])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in outputs],
        initializers,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="scenelet"
    )


def _lower(
    nodes: Sequence[Node],
    arrays: Arrays,
    value_shapes: Mapping[str, Shape],
    known: KnownSounds | None = None,
    embedding: bool = False,
) -> tuple[list["onnx.NodeProto"], dict[str, NDArray[np.float32]]]:
    """Convert nodes to ONNX operations and their weights. `value_shapes` is the result of `shapes` for these nodes.

    New names have a colon, which the nodes' names cannot have.
    """
    norms = _foldable(nodes, arrays)
    folded = {norm.output for norm in norms.values()}
    lowered = _Lowered()
    for node in nodes:
        match node:
            case Conv():
                lowered.conv(node, arrays, norms.get(node.output))
            case ScaleShift() if node.output not in folded:
                factor = lowered.weight(f"{node.output}:scale", _rows(arrays[node.scale], value_shapes[node.input]))
                offset = lowered.weight(f"{node.output}:shift", _rows(arrays[node.shift], value_shapes[node.input]))
                lowered.add("Mul", [node.input, factor], f"{node.output}:scaled")
                lowered.add("Add", [f"{node.output}:scaled", offset], node.output)
            case ResidualNorm():
                lowered.residual_norm(node, value_shapes[node.input][1])
            case Relu():
                lowered.add("Relu", [node.input], node.output)
            case Silu():
                lowered.add("Sigmoid", [node.input], f"{node.output}:gate")
                lowered.add("Mul", [node.input, f"{node.output}:gate"], node.output)
            case Add():
                lowered.add("Add", list(node.inputs), node.output)
            case MaxPool():
                lowered.add("MaxPool", [node.input], node.output, kernel_shape=node.kernel, strides=node.stride)
            case AveragePool():
                sizes = {"kernel_shape": node.kernel, "strides": node.stride, "pads": node.padding * 2}
                lowered.add("AveragePool", [node.input], node.output, count_include_pad=1, **sizes)
            case FrequencyMeanPool():
                kernel = value_shapes[node.input][1], 1
                lowered.add("AveragePool", [node.input], node.output, kernel_shape=kernel)
            case GlobalMeanPool():
                lowered.add("GlobalAveragePool", [node.input], f"{node.output}:pooled")
                lowered.add("Flatten", [f"{node.output}:pooled"], node.output, axis=1)
            case Flatten():
                lowered.add("Flatten", [node.input], node.output, axis=1)
            case Linear():
                names = [lowered.weight(f"{name}:array", arrays[name]) for name in (node.weight, node.bias)]
                lowered.add("Gemm", [node.input, *names], node.output, transB=1)
            case Softmax():
                lowered.add("Softmax", [node.input], node.output, axis=1)
    if embedding or known is not None:
        lowered.operations += embedding_operations(nodes, value_shapes)
    if known is not None:
        operations, weights = similarity_operations(known)
        return [*lowered.operations, *operations], lowered.weights | weights
    return lowered.operations, lowered.weights


class _Lowered:
    """Operations and weights of an ONNX graph under construction."""

    def __init__(self) -> None:
        self.operations: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[np.float32]] = {}

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append an operation with the name of its output."""
        from onnx import helper

        self.operations.append(helper.make_node(op, inputs, [output], name=output, **attributes))

    def weight(self, name: str, array: NDArray[np.float32]) -> str:
        """Add a weight and return its name."""
        self.weights[name] = np.ascontiguousarray(array, np.float32)
        return name

    def residual_norm(self, node: ResidualNorm, frequencies: int) -> None:
        """Append a residual normalization: ONNX's instance norm, to which frequencies appear as channels."""
        x, name = node.input, node.output
        ones = self.weight(f"{name}:ones", np.ones(frequencies, np.float32))
        zeros = self.weight(f"{name}:zeros", np.zeros(frequencies, np.float32))
        factor = self.weight(f"{name}:factor", np.full((1, 1, 1, 1), RESIDUAL_FACTOR, np.float32))
        self.add("Transpose", [x], f"{name}:rows", perm=[0, 2, 1, 3])
        self.add("InstanceNormalization", [f"{name}:rows", ones, zeros], f"{name}:norm", epsilon=RESIDUAL_EPS)
        self.add("Transpose", [f"{name}:norm"], f"{name}:normalized", perm=[0, 2, 1, 3])
        self.add("Mul", [x, factor], f"{name}:scaled")
        self.add("Add", [f"{name}:scaled", f"{name}:normalized"], name)

    def conv(self, node: Conv, arrays: Arrays, norm: ScaleShift | None) -> None:
        """Append a convolution, with the norm after it folded in if there is one."""
        weight = arrays[node.weight]
        if norm is None:
            inputs, output = [self.weight(f"{node.weight}:array", weight)], node.output
        else:
            output = norm.output
            scale, shift = (np.broadcast_to(arrays[name][0], len(weight)) for name in (norm.scale, norm.shift))
            with np.errstate(
                over="ignore"
            ):  # the model is broken; its probabilities will not be finite, which the classifier reports
                folded = weight * scale[:, None, None, None]
            inputs = [self.weight(f"{output}:weight", folded), self.weight(f"{output}:bias", shift)]
        self.add(
            "Conv",
            [node.input, *inputs],
            output,
            kernel_shape=weight.shape[2:],
            strides=node.stride,
            pads=node.padding * 2,
            group=node.groups,
            dilations=node.dilation,
        )


def _foldable(nodes: Sequence[Node], arrays: Arrays) -> dict[str, ScaleShift]:
    """Map outputs of convolutions to the norms that can be folded into them."""
    readers = Counter(name for node in nodes for name in node.reads)
    convs = {node.output for node in nodes if isinstance(node, Conv)}
    norms = (node for node in nodes if isinstance(node, ScaleShift))
    return {n.input: n for n in norms if n.input in convs and readers[n.input] == 1 and len(arrays[n.scale]) == 1}


def _rows(array: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Expand (sub_bands, channels or 1) to (1, channels or 1, frequencies or 1, 1), which broadcasts to the shape.

    For a value of the shape (classes,), the result is (1, classes or 1).
    """
    if len(shape) == 1:
        return array
    repeats = 1 if len(array) == 1 else shape[1] // len(array)
    return np.repeat(array.T, repeats, axis=1)[None, :, :, None]
