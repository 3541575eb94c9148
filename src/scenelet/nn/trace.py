"""Export of a network to the nodes and arrays of a model file, by `torch.fx`."""

import operator
import threading
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from scenelet.model.ops import Add, AveragePool, Conv, MaxPool, Node, Relu, ScaleShift, Silu, Softmax
from scenelet.model.ops import Flatten as FlattenNode
from scenelet.model.ops import FrequencyMeanPool as FrequencyMeanPoolNode
from scenelet.model.ops import GlobalMeanPool as GlobalMeanPoolNode
from scenelet.model.ops import Linear as LinearNode
from scenelet.model.ops import ResidualNorm as ResidualNormNode
from scenelet.nn.blocks import FrequencyMeanPool, GlobalMeanPool
from scenelet.nn.dropout import Dropout
from scenelet.nn.norm import BatchNorm, ResidualNorm, SubSpectralNorm
from scenelet.nn.standardize import StandardizedNetwork

Arrays = dict[str, NDArray[np.float32]]
_TRACING = threading.Lock()
"""`torch.fx` traces one network at a time in a process."""


def trace(network: StandardizedNetwork) -> tuple[tuple[Node, ...], Arrays]:
    """Return the nodes of a network, from "log_mel" to "probabilities", and their arrays by name.

    A norm becomes one scale and shift per channel and sub-band: scale = weight / sqrt(var + eps), shift = bias - mean *
    scale. A convolution that is used several times is stored once.

    Raises:
        TypeError: the network uses a module or a function that has no equivalent node.

    >>> from scenelet.nn import create_model
    >>> network = StandardizedNetwork(create_model("cp_resnet", num_classes=2, width=4), *torch.ones(2, 64))
    >>> nodes, arrays = trace(network.eval())
    >>> [node.op for node in nodes[:4]], arrays["stem.0.weight"].shape
    (['ScaleShift', 'Conv', 'ScaleShift', 'Relu'], (4, 2, 5, 5))
    """
    arrays: Arrays = {}
    nodes: list[Node] = [ScaleShift(input="log_mel", output="x", scale="standardize.scale", shift="standardize.shift")]
    scale = 1.0 / network.std.double()
    arrays["standardize.scale"] = _array(scale[:, None])
    arrays["standardize.shift"] = _array((-network.mean.double() * scale)[:, None])
    inner = network.network
    with _TRACING:
        graph = _Tracer().trace(inner)
    names: dict[fx.Node, str] = {}  # an identity layer has no node, so its output has the name of its input
    for step in graph.nodes:
        if step.op == "placeholder":
            names[step] = "x"
        elif step.op == "output":
            nodes.append(Softmax(input=names[step.args[0]], output="probabilities"))
        elif step.op == "call_module":
            module = inner.get_submodule(str(step.target))
            source = names[step.args[0]]
            if isinstance(module, nn.Identity | Dropout):
                names[step] = source
                continue
            if isinstance(module, BatchNorm | SubSpectralNorm):
                residual = names[step.args[1]] if len(step.args) > 1 else None
                nodes += _norm_nodes(module, str(step.target), source, residual, step.name, arrays)
            else:
                nodes += _module_nodes(module, str(step.target), source, step.name, arrays)
            names[step] = step.name
        elif step.op == "call_function" and step.target is operator.add:
            left, right = (names[argument] for argument in step.args)
            nodes.append(Add(inputs=(left, right), output=step.name))
            names[step] = step.name
        elif step.op == "call_function" and step.target is operator.truediv:
            source, divisor = step.args
            arrays[f"{step.name}.scale"] = np.full((1, 1), 1 / float(divisor), np.float32)
            arrays[f"{step.name}.shift"] = np.zeros((1, 1), np.float32)
            scale_shift = {"scale": f"{step.name}.scale", "shift": f"{step.name}.shift"}
            nodes.append(ScaleShift(input=names[source], output=step.name, **scale_shift))
            names[step] = step.name
        else:
            raise TypeError(f"{step.op} {step.target} has no equivalent node in a model file")
    return tuple(nodes), arrays


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = nn.Conv2d | BatchNorm | SubSpectralNorm | ResidualNorm | FrequencyMeanPool | GlobalMeanPool | Dropout
        return isinstance(m, own) or super().is_leaf_module(m, module_qualified_name)


def _module_nodes(module: nn.Module, name: str, source: str, output: str, arrays: Arrays) -> list[Node]:
    """Return the nodes of one layer, and add its arrays, named after the layer, to `arrays`."""
    edges: dict[str, Any] = {"input": source, "output": output}
    if isinstance(module, nn.Conv2d):
        return _conv_nodes(module, name, source, output, arrays)
    if isinstance(module, nn.MaxPool2d):
        return [MaxPool(kernel=_pair(module.kernel_size), stride=_pair(module.stride), **edges)]
    if isinstance(module, nn.AvgPool2d) and module.count_include_pad and not module.ceil_mode:
        sizes = map(_pair, (module.kernel_size, module.stride, module.padding))
        return [AveragePool(**dict(zip(("kernel", "stride", "padding"), sizes, strict=True)), **edges)]
    if isinstance(module, ResidualNorm):
        return [ResidualNormNode(**edges)]
    if isinstance(module, FrequencyMeanPool):
        return [FrequencyMeanPoolNode(**edges)]
    if isinstance(module, GlobalMeanPool):
        return [GlobalMeanPoolNode(**edges)]
    if isinstance(module, nn.Linear) and module.bias is not None:
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = _array(module.weight), _array(module.bias)
        return [LinearNode(weight=f"{name}.weight", bias=f"{name}.bias", **edges)]
    if isinstance(module, nn.ReLU):
        return [Relu(**edges)]
    if isinstance(module, nn.SiLU):
        return [Silu(**edges)]
    if isinstance(module, nn.Flatten) and module.start_dim == 1:
        return [FlattenNode(**edges)]
    raise TypeError(f"layer {name} ({type(module).__name__}) has no equivalent node in a model file")


def _conv_nodes(module: nn.Conv2d, name: str, source: str, output: str, arrays: Arrays) -> list[Node]:
    """Return the nodes of a convolution. Its bias becomes a shift per channel."""
    arrays[f"{name}.weight"] = _array(module.weight)
    padding = cast(tuple[int, int], module.padding)
    settings: dict[str, Any] = {"stride": module.stride, "padding": padding, "groups": module.groups}
    settings["dilation"] = module.dilation
    product = output if module.bias is None else f"{output}.conv"
    nodes: list[Node] = [Conv(input=source, output=product, weight=f"{name}.weight", **settings)]
    if module.bias is not None:
        arrays[f"{name}.one"], arrays[f"{name}.bias"] = (
            np.ones((1, module.out_channels), np.float32),
            _array(module.bias[None]),
        )
        nodes.append(ScaleShift(input=product, output=output, scale=f"{name}.one", shift=f"{name}.bias"))
    return nodes


def _norm_nodes(
    norm: BatchNorm | SubSpectralNorm, name: str, source: str, residual: str | None, output: str, arrays: Arrays
) -> list[Node]:
    """Return the nodes of a norm with its residual addition and ReLU. All but the last write `OUTPUT.STEP`."""
    arrays[f"{name}.scale"], arrays[f"{name}.shift"] = _scale_shift(norm)
    last = "relu" if norm.relu else "norm" if residual is None else "add"
    outputs = {step: output if step == last else f"{output}.{step}" for step in ("norm", "add", "relu")}
    value = outputs["norm"]
    nodes: list[Node] = [ScaleShift(input=source, output=value, scale=f"{name}.scale", shift=f"{name}.shift")]
    if residual is not None:
        nodes.append(Add(inputs=(value, residual), output=outputs["add"]))
        value = outputs["add"]
    if norm.relu:
        nodes.append(Relu(input=value, output=output))
    return nodes


def _scale_shift(norm: BatchNorm | SubSpectralNorm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return scale and shift of a norm, (sub_bands, channels) each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    return _array(scale.view(-1, norm.running_mean.shape[-1])), _array(shift.view(-1, norm.running_mean.shape[-1]))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().float().numpy())
