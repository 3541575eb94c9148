"""Int8 network: exact integers of weights and biases, steps of values, and networks without an int8 form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.tiny_model import Builder, changed, model_of, random_network, tiny_model
from scenelet.errors import ModelFileError
from scenelet.export.fused.fuse import fuse
from scenelet.export.fused.int8_network import (
    MAX_BIAS,
    Int8Network,
    Quantization,
    check_int8,
    quantization,
    quantize_network,
)
from scenelet.export.fused.layers import Add, Conv, FusedNetwork, MaxPool, Softmax
from scenelet.model.ops import INPUT
from scenelet.model.scene_model import SceneModel

FLOATS = st.floats(-1e6, 1e6, width=32)


def on_a_grid(model: SceneModel) -> SceneModel:
    """Return the model with convolution weights that are integers times a power of two per channel."""
    rng = np.random.default_rng(3)
    weights = {}
    for name, array in model.arrays.items():
        if name.endswith(".weight"):
            exponents = rng.integers(-9, -5, (len(array), 1, 1, 1))
            weights[name] = np.ldexp(rng.integers(-127, 128, array.shape).astype(np.float32), exponents)
    encodings = model.encodings | dict.fromkeys(weights, "masked_int8")
    return changed(model, arrays=model.arrays | weights, encodings=encodings)


def quantized(model: SceneModel, half: float = 4.0) -> Int8Network:
    network = fuse(model)
    return quantize_network(network, dict.fromkeys(network.shapes, (-half, half)))


@given(FLOATS, FLOATS)
def test_quantization_contains_the_range_and_zero(first: float, second: float) -> None:
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    found = quantization(first, second) if first <= second else quantization(second, first)
    assert -128 <= found.zero_point <= 127
    assert found.step == np.float32(found.step) > 0
    assert found.dequantize(found.quantize(np.float32([0.0])))[0] == 0.0
    ends = np.float32([low, high])
    assert np.abs(found.dequantize(found.quantize(ends)) - ends).max() <= 0.51 * found.step + 1e-6 * np.abs(ends).max()


@given(st.integers(-128, 127), st.integers(-128, 127), st.floats(2**-20, 1024, width=32))
def test_quantize_inverts_dequantize(integer: int, zero_point: int, step: float) -> None:
    found = Quantization(step, zero_point)
    assert found.quantize(found.dequantize(np.int8([integer]))).tolist() == [integer]


def test_stored_int8_weights_stay_exact() -> None:
    """A norm changes the step and the sign of a channel, and no integer."""
    model = on_a_grid(tiny_model())
    found = quantized(model)
    convolutions = [layer for layer in found.network.layers if isinstance(layer, Conv) and layer.weight.exact]
    assert len(convolutions) > 4
    for layer in convolutions:
        integers = found.convs[layer.name]
        for band, scale in enumerate(layer.scale):
            exact = layer.weight.values.astype(np.float64) * scale[:, None, None, None]
            stored = integers.weights[band] * integers.steps[band].astype(np.float64)[:, None, None, None]
            np.testing.assert_allclose(stored, exact, rtol=1e-6, atol=0)


def test_biases_are_shifts_on_the_step_of_the_sum() -> None:
    found = quantized(tiny_model())
    for layer in found.network.layers:
        if isinstance(layer, Conv):
            integers = found.convs[layer.name]
            step = integers.steps.astype(np.float64) * found.values[layer.input].step
            assert np.abs(integers.biases * step - layer.shift).max() <= 0.5001 * step.max()


def test_rounded_weights_are_within_half_a_step() -> None:
    found = quantized(tiny_model())
    rounded = [layer for layer in found.network.layers if isinstance(layer, Conv) and not layer.weight.exact]
    assert len(rounded) > 3
    for layer in rounded:
        steps = layer.weight.steps[:, None, None, None]
        assert np.abs(layer.weight.integers * steps - layer.weight.values).max() <= 0.5001 * steps.max()
        assert np.abs(layer.weight.integers).max() == 127


def test_shared_weights_are_one_object() -> None:
    found = quantized(on_a_grid(tiny_model()))
    first, second = (
        layer for layer in found.network.layers if isinstance(layer, Conv) and layer.weight.name == "shared.weight"
    )
    assert first.weight is second.weight
    band = found.convs[first.name].weights
    if (np.sign(first.scale[0]) == np.sign(first.scale[1])).all():
        assert band[0] is band[1]


@pytest.mark.parametrize("scale", [0.0, 1e-12, -1e-30])
def test_a_channel_that_its_norm_removes_keeps_its_shift(scale: float) -> None:
    net = Builder(np.random.default_rng(0), (1, 16, 13))
    net.conv(4)
    net.scale_shift(1)
    net.arrays["v1.scale"][0, 1], net.arrays["v1.shift"][0, 1] = scale, 3.0
    net.head(3, dense=False)
    found = quantized(model_of(net))
    integers = found.convs["v1"]
    assert abs(int(integers.biases[0, 1])) <= MAX_BIAS
    step = float(integers.steps[0, 1]) * found.values[INPUT].step
    assert integers.biases[0, 1] * step == pytest.approx(3.0, rel=1e-6)
    assert np.abs(integers.weights[0][1].astype(np.float64) * integers.steps[0, 1]).max() <= 127 * max(abs(scale), 1e-8)


def test_values_of_fixed_quantization() -> None:
    found = quantized(model_of(random_network(0)))
    for layer in found.network.layers:
        value = found.values[layer.name]
        if isinstance(layer, Softmax):
            assert value == Quantization(1 / 256, -128)
        elif isinstance(layer, MaxPool):
            assert value == found.values[layer.input]
        elif isinstance(layer, Conv | Add) and layer.relu:
            assert value == quantization(0.0, 4.0)
            assert value.zero_point == -128


def test_residual_norm_has_no_int8_form() -> None:
    network = fuse(model_of(random_network(1)))
    with pytest.raises(ModelFileError, match=r"no int8 form; export it in float, or train with network.residual_norm"):
        check_int8(network)
    with pytest.raises(ModelFileError, match="no int8 form"):
        quantize_network(network, {})
    check_int8(FusedNetwork((), {}))
