"""A small model with every operation of the paper's network, and random networks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.known_sounds import KnownSounds, embedding_size
from scenelet.model.ops import (
    INPUT,
    OUTPUT,
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
    Silu,
    Softmax,
)
from scenelet.model.scene_model import SceneModel, TrainingCounts

CHAIN = [
    ScaleShift(input=INPUT, output="standard", scale="s", shift="t"),
    Conv(input="standard", output="stem", weight="w", stride=(2, 1), padding=(2, 0)),
    Relu(input="stem", output="relu"),
    Add(inputs=("relu", "stem"), output="sum"),
    MaxPool(input="sum", output="pooled", kernel=(2, 3), stride=(2, 2)),
    Flatten(input="pooled", output="flat"),
    Linear(input="flat", output="logits", weight="dense", bias="bias"),
    Softmax(input="logits", output=OUTPUT),
]
CHAIN_ARRAYS = {"s": (16, 1), "t": (16, 1), "w": (8, 2, 5, 3), "dense": (3, 8 * 4 * 4), "bias": (3,)}
"""A chain of nearly all operations for the input (2, 16, 12), and the shapes of its arrays."""
END = [GlobalMeanPool(input="x", output="logits"), Softmax(input="logits", output=OUTPUT)]
"""Last nodes of a network that ends in the value "x"."""


class Builder:
    """Builder of a chain of nodes with random weights."""

    def __init__(self, rng: np.random.Generator, input_shape: tuple[int, int, int]) -> None:
        self.rng = rng
        self.nodes: list[Node] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.value, self.shape = INPUT, input_shape
        self.input_shape = input_shape
        self.shapes = {INPUT: input_shape}

    def _name(self) -> str:
        return f"v{len(self.nodes)}"

    def push(self, node: Node) -> str:
        """Add a node whose output the next node takes."""
        self.nodes.append(node)
        self.value = node.output
        self.shapes[node.output] = self.shape
        return node.output

    def scale_shift(self, sub_bands: int, channels: int | None = None) -> str:
        """Add random scales of both signs, which differ enough to reveal confused norms."""
        name, columns = self._name(), self.shape[0] if channels is None else channels
        self.arrays[f"{name}.scale"] = self.rng.uniform(-1.5, 1.5, (sub_bands, columns)).astype(np.float32)
        self.arrays[f"{name}.shift"] = self.rng.normal(0, 1, (sub_bands, columns)).astype(np.float32)
        return self.push(ScaleShift(input=self.value, output=name, scale=f"{name}.scale", shift=f"{name}.shift"))

    def conv(
        self, out: int, kernel=(3, 3), stride=(1, 1), padding=None, groups: int = 1, weight: str = "", dilation=(1, 1)
    ) -> str:
        """Add a convolution with weights of variance 2 / fan-in. By default it keeps the size up to the stride."""
        name = self._name()
        spans = [(k - 1) * step + 1 for k, step in zip(kernel, dilation, strict=True)]
        if padding is None:
            padding = (spans[0] // 2, spans[1] // 2)
        weight = weight or f"{name}.weight"
        if weight not in self.arrays:
            size = (out, self.shape[0] // groups, *kernel)
            values = self.rng.normal(0, (2 / np.prod(size[1:])) ** 0.5, size)
            self.arrays[weight] = values.astype(np.float32)
        axes = zip(self.shape[1:], spans, stride, padding, strict=True)
        self.shape = (out, *((n + 2 * p - span) // s + 1 for n, span, s, p in axes))
        settings = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
        return self.push(Conv(input=self.value, output=name, weight=weight, **settings))

    def relu(self) -> str:
        return self.push(Relu(input=self.value, output=self._name()))

    def silu(self) -> str:
        return self.push(Silu(input=self.value, output=self._name()))

    def add(self, other: str, swapped: bool = False) -> str:
        """Add two values; the result has the shape of the larger one."""
        self.shape = max(self.shape, self.shapes[other])
        inputs = (other, self.value) if swapped else (self.value, other)
        return self.push(Add(inputs=inputs, output=self._name()))

    def frequency_mean_pool(self) -> str:
        self.shape = (self.shape[0], 1, self.shape[2])
        return self.push(FrequencyMeanPool(input=self.value, output=self._name()))

    def max_pool(self, kernel=(2, 2), stride=(2, 2)) -> str:
        axes = zip(self.shape[1:], kernel, stride, strict=True)
        self.shape = (self.shape[0], *((n - k) // s + 1 for n, k, s in axes))
        return self.push(MaxPool(input=self.value, output=self._name(), kernel=kernel, stride=stride))

    def average_pool(self, kernel=(3, 3), stride=(1, 2), padding=(1, 1)) -> str:
        axes = zip(self.shape[1:], kernel, stride, padding, strict=True)
        self.shape = (self.shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in axes))
        sizes = {"kernel": kernel, "stride": stride, "padding": padding}
        return self.push(AveragePool(input=self.value, output=self._name(), **sizes))

    def residual_norm(self) -> str:
        return self.push(ResidualNorm(input=self.value, output=self._name()))

    def head(self, classes: int, dense: bool) -> None:
        if dense:
            self.push(Flatten(input=self.value, output=self._name()))
            width = int(np.prod(self.shape))
            self.arrays["dense.weight"] = self.rng.normal(0, width**-0.5, (classes, width)).astype(np.float32)
            self.arrays["dense.bias"] = self.rng.normal(0, 1, classes).astype(np.float32)
            self.push(Linear(input=self.value, output=self._name(), weight="dense.weight", bias="dense.bias"))
        else:
            self.conv(classes, (1, 1))
            self.scale_shift(1)
            self.push(GlobalMeanPool(input=self.value, output=self._name()))
        self.push(Softmax(input=self.value, output=OUTPUT))


def random_network(seed: int, dense: bool = False, classes: int = 3) -> Builder:
    """Build a standardization, a stem, residual and broadcasted blocks, pools and a head.

    Residual blocks may share convolutions and have one or two sub-bands. Broadcasted blocks add a row of time to every
    frequency. Kernels of both may be dilated. Networks of some seeds have residual norms and an average pool.
    """
    rng = np.random.default_rng(seed)
    net = Builder(rng, (int(rng.integers(1, 3)), 16, int(rng.integers(9, 14))))
    net.scale_shift(16, channels=1)
    if seed % 3 == 1:
        net.residual_norm()
    width = int(rng.integers(1, 3)) * 4
    net.conv(width, (5, 5), (2, 2))
    net.scale_shift(1)
    net.relu()
    for block in range(int(rng.integers(1, 4))):
        kernels = [(3, 3), (1, 1), (1, 3)]
        first, second = kernels[rng.integers(3)], kernels[rng.integers(3)]
        groups = int(rng.choice([1, 2]))
        shared = bool(rng.integers(2))
        dilation = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        for _ in range(int(rng.integers(1, 4))):
            before = net.value
            net.conv(width, first, weight=f"b{block}.first" if shared else "", groups=groups, dilation=dilation)
            net.scale_shift(1)
            net.relu()
            net.conv(width, second, weight=f"b{block}.second" if shared else "")
            if rng.integers(4):  # sometimes the convolution has no norm
                net.scale_shift(int(rng.choice([1, 2])), channels=int(rng.choice([1, width])))
            net.add(before)
            net.relu()
    for _ in range(int(rng.integers(0, 3))):
        before = net.conv(width, (3, 1), groups=width)
        net.frequency_mean_pool()
        net.conv(width, (1, 3), groups=width, dilation=(1, int(rng.integers(1, 4))))
        net.scale_shift(1)
        net.silu()
        net.add(before, swapped=bool(rng.integers(2)))
    if seed % 3 == 1:
        net.residual_norm()
    if seed % 4 == 1:
        net.average_pool(kernel=(2, 3), stride=(2, 1))
    net.max_pool((2, 3), (2, 2))
    net.head(classes, dense)
    return net


FEATURES = FeatureConfig(sample_rate=8000, channels="stereo", n_fft=256, hop_length=128, n_mels=16)
WINDOW = WindowConfig(seconds=0.2)


def tiny_model(seed: int = 0, labels: Sequence[str] = ("indoor", "outdoor", "transportation")) -> SceneModel:
    """Build a model pruned to one half, with windows of 0.2 s at 8 kHz: log-mel (2, 16, 13)."""
    net = Builder(np.random.default_rng(seed), (2, 16, 13))
    net.scale_shift(16, channels=1)
    net.arrays["v0.scale"][:] = np.float32(0.05)
    net.arrays["v0.shift"][:] = np.float32(2.0)
    net.conv(4, (5, 5), (2, 2))
    net.scale_shift(1)
    stem = net.relu()
    for _ in range(2):
        net.conv(4, weight="shared.weight")
        net.scale_shift(2)
    net.add(stem)
    net.relu()
    net.max_pool()
    net.head(len(labels), dense=False)
    encodings = {}
    for name, array in net.arrays.items():
        if name.startswith("v0."):
            encodings[name] = "fp32"
        elif name.endswith(".weight"):
            encodings[name] = "masked_fp16"
            array[np.abs(array) < np.median(np.abs(array))] = 0
        else:
            encodings[name] = "fp16"
    conv = sum(net.arrays[name].size for name in net.arrays if name.endswith(".weight"))
    kept = sum(int(np.count_nonzero(net.arrays[name])) for name in net.arrays if name.endswith(".weight"))
    model = SceneModel(
        labels=tuple(labels),
        features=FEATURES,
        window=WINDOW,
        nodes=tuple(net.nodes),
        arrays=net.arrays,
        encodings=encodings,
        counts=TrainingCounts(conv=conv, conv_kept=kept, batch_norm=14, sub_spectral_norm=16),
        provenance={"recipe": "low_complexity", "seed": seed, "synthetic": True, "versions": {"python": "3"}},
        results={"test": {"accuracy": 0.5}},
        licenses=["CC0-1.0"],
    )
    assert model.input_shape == net.input_shape
    return model


def model_of(net: Builder, encodings: dict[str, str] | None = None) -> SceneModel:
    """Build the model of a network, with windows of the right length. By default all arrays are in fp32."""
    channels, n_mels, frames = net.input_shape
    layout = "mono" if channels == 1 else "mid-side"
    return changed(
        tiny_model(),
        nodes=tuple(net.nodes),
        arrays=net.arrays,
        encodings=encodings or dict.fromkeys(net.arrays, "fp32"),
        features=FeatureConfig(sample_rate=8000, n_mels=n_mels, n_fft=256, hop_length=100, channels=layout),
        window=WindowConfig(seconds=(frames - 1) / 80),
    )


def with_known_sounds(model: SceneModel, min_similarity: float = 0.5) -> SceneModel:
    """Return the model with random means of its classes, rounded to fp16."""
    size = embedding_size(model.nodes, model.shapes())
    means = np.random.default_rng(7).normal(0, 1, (len(model.labels), size)).astype(np.float16)
    return changed(model, known=KnownSounds(means.astype(np.float32), min_similarity))


def changed(model: SceneModel, **changes: object) -> SceneModel:
    """Return the model with some fields replaced."""
    return dataclasses.replace(model, **changes)
