"""Serialization of a graph as a FlatBuffer of the TensorFlow Lite schema, with the classes of the package `tflite`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scenelet.export.tflite.graph import OPERATOR_VERSIONS, Graph, Operator, Tensor

IDENTIFIER, SCHEMA_VERSION = b"TFL3", 3
BUFFER_ALIGNMENT = 16
OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PAD": "PadOptions",
    "RESHAPE": "ReshapeOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "SUB": "SubOptions",
    "TRANSPOSE": "TransposeOptions",
}
"""Mapping from an operator to the table of its options, for operators that have one."""


def serialize(graph: Graph, source: int, result: int, metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a `.tflite` file.

    Args:
        graph: the tensors and operators.
        source, result: indices of the graph's input and output.
        metadata: texts that the file contains, by name.

    >>> graph = Graph()
    >>> x = graph.tensor("x", (1, 2), np.float32)
    >>> y = graph.apply("RELU", [x], "y", (1, 2))
    >>> serialize(graph, x, y, {"labels": "[]"})[4:8]
    b'TFL3'
    """
    import flatbuffers
    import tflite

    builder = flatbuffers.Builder(1 << 20)
    contents, of_tensor = _buffers(graph.tensors)
    first_text = len(contents)
    contents += [text.encode() for text in metadata.values()]
    buffers = [_buffer(builder, data) for data in contents]
    vectors = _Vectors(builder)
    tensors = [_tensor(vectors, tensor, buffer) for tensor, buffer in zip(graph.tensors, of_tensor, strict=True)]
    kinds = sorted({operator.kind for operator in graph.operators})
    operators = [_operator(builder, operator, kinds.index(operator.kind)) for operator in graph.operators]
    int8 = graph.tensors[source].dtype == np.int8
    codes = [_code(builder, kind, OPERATOR_VERSIONS[kind][int8]) for kind in kinds]
    subgraph = _subgraph(builder, tensors, operators, source, result)
    texts = [_text(builder, name, first_text + index) for index, name in enumerate(metadata)]
    parts = {
        "OperatorCodes": _offsets(builder, tflite.ModelStartOperatorCodesVector, codes),
        "Subgraphs": _offsets(builder, tflite.ModelStartSubgraphsVector, [subgraph]),
        "Buffers": _offsets(builder, tflite.ModelStartBuffersVector, buffers),
        "Metadata": _offsets(builder, tflite.ModelStartMetadataVector, texts),
        "Description": builder.CreateString("scenelet"),
    }
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, SCHEMA_VERSION)
    for name, offset in parts.items():
        getattr(tflite, f"ModelAdd{name}")(builder, offset)
    builder.Finish(tflite.ModelEnd(builder), IDENTIFIER)
    return bytes(builder.Output())


def _buffers(tensors: Sequence[Tensor]) -> tuple[list[bytes], list[int]]:
    """Return the contents of all buffers, and the buffer of each tensor. Equal constants share one."""
    contents = [b""]  # the first buffer is empty by convention
    known = {b"": 0}
    of_tensor = []
    for tensor in tensors:
        data = b"" if tensor.data is None else np.ascontiguousarray(tensor.data).tobytes()
        if data not in known:
            known[data] = len(contents)
            contents.append(data)
        of_tensor.append(known[data])
    return contents, of_tensor


def _buffer(builder: Any, data: bytes) -> int:
    """Write a buffer whose data begins at a multiple of `BUFFER_ALIGNMENT`, so that programs can map the file."""
    import tflite

    if data:
        builder.StartVector(1, len(data), BUFFER_ALIGNMENT)
        builder.head = builder.head - len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
    tflite.BufferStart(builder)
    if data:
        tflite.BufferAddData(builder, vector)
    return int(tflite.BufferEnd(builder))


def _text(builder: Any, name: str, buffer: int) -> int:
    """Write an entry of the metadata, whose text is in a buffer."""
    import tflite

    offset = builder.CreateString(name)
    tflite.MetadataStart(builder)
    tflite.MetadataAddName(builder, offset)
    tflite.MetadataAddBuffer(builder, buffer)
    return int(tflite.MetadataEnd(builder))


def _offsets(builder: Any, start: Callable[[Any, int], Any], offsets: Sequence[int]) -> int:
    """Write a vector of offsets, which a FlatBuffer fills from its end."""
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


class _Vectors:
    """Vectors of numbers. Equal ones are written once, such as the zero points of all weights with as many channels."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self._offsets: dict[tuple[str, bytes], int] = {}

    def write(self, numbers: Sequence[float], dtype: type[np.generic]) -> int:
        """Write numbers, or find them, and return their offset."""
        array = np.asarray(numbers, dtype)
        key = dtype.__name__, array.tobytes()
        if key not in self._offsets:
            self._offsets[key] = int(self.builder.CreateNumpyVector(array))
        return self._offsets[key]


def _tensor(vectors: _Vectors, tensor: Tensor, buffer: int) -> int:
    import tflite

    builder = vectors.builder
    kinds = {"float32": tflite.TensorType.FLOAT32, "int8": tflite.TensorType.INT8, "int32": tflite.TensorType.INT32}
    name = builder.CreateString(tensor.name)
    shape = vectors.write(tensor.shape, np.int32)
    quantization = _quantization(vectors, tensor) if tensor.steps else None
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, kinds[tensor.dtype.name])
    tflite.TensorAddBuffer(builder, buffer)
    tflite.TensorAddName(builder, name)
    if quantization is not None:
        tflite.TensorAddQuantization(builder, quantization)
    return int(tflite.TensorEnd(builder))


def _quantization(vectors: _Vectors, tensor: Tensor) -> int:
    import tflite

    builder = vectors.builder
    steps = vectors.write(tensor.steps, np.float32)
    zero_points = vectors.write(tensor.zero_points, np.int64)
    tflite.QuantizationParametersStart(builder)
    tflite.QuantizationParametersAddScale(builder, steps)
    tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
    tflite.QuantizationParametersAddQuantizedDimension(builder, tensor.axis)
    return int(tflite.QuantizationParametersEnd(builder))


def _operator(builder: Any, operator: Operator, code: int) -> int:
    import tflite

    inputs = builder.CreateNumpyVector(np.asarray(operator.inputs, np.int32))
    outputs = builder.CreateNumpyVector(np.asarray([operator.output], np.int32))
    table = OPTIONS.get(operator.kind, "")
    options = _options(builder, table, operator.options) if table else None
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def _options(builder: Any, table: str, options: Mapping[str, Any]) -> int:
    import tflite

    getattr(tflite, f"{table}Start")(builder)
    for name, value in options.items():
        getattr(tflite, f"{table}Add{name}")(builder, value)
    return int(getattr(tflite, f"{table}End")(builder))


def _code(builder: Any, kind: str, version: int) -> int:
    import tflite

    number = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, number)
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    tflite.OperatorCodeAddVersion(builder, version)
    return int(tflite.OperatorCodeEnd(builder))


def _subgraph(builder: Any, tensors: Sequence[int], operators: Sequence[int], source: int, result: int) -> int:
    import tflite

    parts = {
        "Tensors": _offsets(builder, tflite.SubGraphStartTensorsVector, tensors),
        "Operators": _offsets(builder, tflite.SubGraphStartOperatorsVector, operators),
        "Inputs": builder.CreateNumpyVector(np.asarray([source], np.int32)),
        "Outputs": builder.CreateNumpyVector(np.asarray([result], np.int32)),
        "Name": builder.CreateString("main"),
    }
    tflite.SubGraphStart(builder)
    for name, offset in parts.items():
        getattr(tflite, f"SubGraphAdd{name}")(builder, offset)
    return int(tflite.SubGraphEnd(builder))
