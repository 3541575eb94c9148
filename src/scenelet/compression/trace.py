"""A trained network -> the node list and arrays of a model file, by `torch.fx`."""

import operator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from scenelet.nn.blocks import GlobalMeanPool
from scenelet.nn.norm import SubSpectralNorm
from scenelet.nn.standardise import Standardised
from scenelet.nodes import Add, Conv, MaxPool, Node, Relu, ScaleShift, Softmax
from scenelet.nodes import GlobalMeanPool as GlobalMeanPoolNode

Arrays = dict[str, NDArray[np.float32]]


def trace(network: Standardised) -> tuple[tuple[Node, ...], Arrays]:
    """Nodes from "log_mel" to "probabilities", and the arrays they name.

    Norms become one scale and shift per channel and sub-band: scale = weight / sqrt(var + eps),
    shift = bias - mean * scale. A convolution used several times is stored once.

    Raises:
        TypeError: the network uses a module or function that has no node.
    """
    arrays: Arrays = {}
    nodes: list[Node] = [ScaleShift(input="log_mel", output="x", scale="standardise.scale", shift="standardise.shift")]
    scale = 1.0 / network.deviation.double()
    arrays["standardise.scale"] = _array(scale[:, None])
    arrays["standardise.shift"] = _array((-network.mean.double() * scale)[:, None])
    inner = network.network
    graph = _Tracer().trace(inner)
    names: dict[fx.Node, str] = {}  # identity layers have no node: their output goes by the input's name
    for step in graph.nodes:
        if step.op == "placeholder":
            names[step] = "x"
        elif step.op == "output":
            nodes.append(Softmax(input=names[step.args[0]], output="probabilities"))
        elif step.op == "call_function" and step.target in (operator.add, torch.add):
            nodes.append(Add(inputs=(names[step.args[0]], names[step.args[1]]), output=step.name))
            names[step] = step.name
        elif step.op == "call_module":
            module = inner.get_submodule(str(step.target))
            source = names[step.args[0]]
            if isinstance(module, nn.Identity):
                names[step] = source
                continue
            nodes.append(_module_node(module, str(step.target), source, step.name, arrays))
            names[step] = step.name
        else:
            raise TypeError(f"{step.op} {step.target} has no node in a model file")
    return tuple(nodes), arrays


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, SubSpectralNorm | GlobalMeanPool) or super().is_leaf_module(m, module_qualified_name)


def _module_node(module: nn.Module, name: str, source: str, output: str, arrays: Arrays) -> Node:
    """The node of one layer; puts its arrays, named after the layer, into `arrays`."""
    edges: dict[str, Any] = {"input": source, "output": output}
    if isinstance(module, nn.Conv2d) and module.bias is None and set(module.dilation) == {1}:
        arrays[f"{name}.weight"] = _array(module.weight)
        return Conv(
            weight=f"{name}.weight", stride=module.stride, padding=module.padding, groups=module.groups, **edges
        )
    if isinstance(module, nn.BatchNorm2d | SubSpectralNorm):
        arrays[f"{name}.scale"], arrays[f"{name}.shift"] = _scale_shift(module)
        return ScaleShift(scale=f"{name}.scale", shift=f"{name}.shift", **edges)
    if isinstance(module, nn.ReLU):
        return Relu(**edges)
    if isinstance(module, nn.MaxPool2d):
        return MaxPool(kernel=_pair(module.kernel_size), stride=_pair(module.stride), **edges)
    if isinstance(module, GlobalMeanPool):
        return GlobalMeanPoolNode(**edges)
    raise TypeError(f"layer {name} ({type(module).__name__}) has no node in a model file")


def _scale_shift(norm: nn.BatchNorm2d | SubSpectralNorm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(sub_bands, channels) each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    return _array(scale.view(-1, norm.running_mean.shape[-1])), _array(shift.view(-1, norm.running_mean.shape[-1]))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().float().numpy())
