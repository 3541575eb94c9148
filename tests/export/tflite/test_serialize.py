"""The FlatBuffer of a graph: read back with the classes of the schema, it has the same tensors and operators."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenelet.export.tflite.graph import OPERATOR_VERSIONS, Graph, Tensor
from scenelet.export.tflite.serialize import serialize

tflite = pytest.importorskip("tflite", reason="tflite is not installed: pip install '.[tflite]'")
DTYPES = {np.dtype(np.float32): "FLOAT32", np.dtype(np.int8): "INT8", np.dtype(np.int32): "INT32"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    graph = Graph()
    graph.tensor("in", (1, 2, 3, 4), draw(st.sampled_from([np.float32, np.int8])), steps=(0.5,), zero_points=(-3,))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    for index in range(draw(st.integers(0, 5))):
        shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
        data = rng.integers(-9, 9, shape).astype(draw(st.sampled_from([np.float32, np.int8, np.int32])))
        steps = tuple(np.float32(rng.uniform(0.1, 1, shape[0])))
        graph.constant(draw(TEXTS), data, steps=steps, zero_points=(0,) * len(steps), axis=draw(st.integers(0, 3)))
        graph.apply("RELU" if index % 2 else "ADD", [0, len(graph.tensors) - 1], f"{index}", (1, 2, 3, 4), step=0.25)
    return graph


def numbers(values: Any, dtype: Any = None) -> list[Any]:
    """Return a vector of a FlatBuffer as a list; an absent vector is 0."""
    return [] if isinstance(values, int) else np.asarray(values, dtype).tolist()


def assert_tensor_is(found: Any, model: Any, tensor: Tensor) -> None:
    assert found.Name().decode() == tensor.name
    assert tuple(found.ShapeAsNumpy()) == tensor.shape
    assert found.Type() == getattr(tflite.TensorType, DTYPES[tensor.dtype])
    quantization = found.Quantization()
    if tensor.steps:
        assert numbers(quantization.ScaleAsNumpy()) == list(map(float, tensor.steps))
        assert numbers(quantization.ZeroPointAsNumpy()) == list(tensor.zero_points)
        assert quantization.QuantizedDimension() == tensor.axis
    data = model.Buffers(found.Buffer())
    if tensor.data is None:
        assert found.Buffer() == 0
        assert data.DataLength() == 0
    else:
        assert np.frombuffer(data.DataAsNumpy().tobytes(), tensor.dtype).tolist() == tensor.data.ravel().tolist()


@settings(max_examples=50)
@given(graphs(), st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_serialized_graph_is_read_back(graph: Graph, metadata: dict[str, str]) -> None:
    exported = serialize(graph, 0, len(graph.tensors) - 1, metadata)
    assert exported[4:8] == b"TFL3"
    model = tflite.Model.GetRootAs(exported)
    assert model.Version() == 3
    subgraph = model.Subgraphs(0)
    assert (model.SubgraphsLength(), subgraph.TensorsLength()) == (1, len(graph.tensors))
    assert (numbers(subgraph.InputsAsNumpy()), numbers(subgraph.OutputsAsNumpy())) == ([0], [len(graph.tensors) - 1])
    for index, tensor in enumerate(graph.tensors):
        assert_tensor_is(subgraph.Tensors(index), model, tensor)
    assert subgraph.OperatorsLength() == len(graph.operators)
    for index, operator in enumerate(graph.operators):
        found = subgraph.Operators(index)
        code = model.OperatorCodes(found.OpcodeIndex())
        assert code.BuiltinCode() == code.DeprecatedBuiltinCode() == getattr(tflite.BuiltinOperator, operator.kind)
        assert code.Version() == OPERATOR_VERSIONS[operator.kind][graph.tensors[0].dtype == np.int8]
        assert numbers(found.InputsAsNumpy()) == list(operator.inputs)
        assert numbers(found.OutputsAsNumpy()) == [operator.output]
    texts = [model.Metadata(index) for index in range(model.MetadataLength())]
    held = {text.Name().decode(): bytes(numbers(model.Buffers(text.Buffer()).DataAsNumpy())) for text in texts}
    assert held == {name: text.encode() for name, text in metadata.items()}


@given(graphs())
@settings(max_examples=20)
def test_buffers_are_aligned_and_shared(graph: Graph) -> None:
    """Programs map a file and read its weights in place."""
    graph.constant("again", np.arange(7, dtype=np.int32))
    graph.constant("the same", np.arange(7, dtype=np.int32))
    exported = np.frombuffer(serialize(graph, 0, 0, {"text": "x"}), np.uint8)
    model = tflite.Model.GetRootAs(exported)
    contents = []
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if not isinstance(data, int):
            start = (
                data.__array_interface__["data"][0] - np.frombuffer(exported, np.uint8).__array_interface__["data"][0]
            )
            assert start % 16 == 0
            contents.append(data.tobytes())
    assert len(set(contents)) == len(contents)
    subgraph = model.Subgraphs(0)
    count = subgraph.TensorsLength()
    assert subgraph.Tensors(count - 1).Buffer() == subgraph.Tensors(count - 2).Buffer()


def test_options_of_operators_are_written() -> None:
    graph = Graph()
    x = graph.tensor("x", (1, 4, 4, 1), np.float32)
    weight, bias = graph.constant("w", np.ones((1, 2, 2, 1), np.float32)), graph.constant("b", np.zeros(1, np.float32))
    options = {"Padding": 1, "StrideH": 2, "StrideW": 3, "DilationHFactor": 4, "DilationWFactor": 5}
    y = graph.apply("CONV_2D", [x, weight, bias], "y", (1, 2, 1, 1), **options, FusedActivationFunction=1)
    operator = tflite.Model.GetRootAs(serialize(graph, x, y, {})).Subgraphs(0).Operators(0)
    assert operator.BuiltinOptionsType() == tflite.BuiltinOptions.Conv2DOptions
    found = tflite.Conv2DOptions()
    found.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
    assert {name: getattr(found, name)() for name in options} == options
    assert found.FusedActivationFunction() == tflite.ActivationFunctionType.RELU


def test_serialize_is_deterministic() -> None:
    graph = Graph()
    graph.tensor("x", (1, 2), np.float32)
    assert serialize(graph, 0, 0, {"a": "b"}) == serialize(graph, 0, 0, {"a": "b"})


def test_equal_zero_points_are_stored_once() -> None:
    """A weight has a zero point of eight bytes per channel, and all are zero."""

    def size(count: int) -> int:
        graph = Graph()
        for index in range(count):
            steps = tuple(np.arange(1000, dtype=np.float32) + index + 1)
            graph.constant("w", np.full((1000, 1), index, np.int8), steps=steps, zero_points=(0,) * 1000)
        return len(serialize(graph, 0, 0, {}))

    assert 5000 < size(3) - size(2) < 5200  # 1000 weights and 1000 steps
