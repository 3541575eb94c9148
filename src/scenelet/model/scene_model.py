"""What a model is: labels, features, windows, a network as nodes with its arrays, and where it comes from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scenelet.config import FeatureConfig, Settings, WindowConfig
from scenelet.model import ops as network
from scenelet.model.ops import Node, Shape
from scenelet.model.weights import Encoding

MAX_COUNT = 1 << 40
"""Of parameters: what is multiplied by bytes and printed stays a number that everybody can hold."""


class TrainingCounts(Settings):
    """Parameters at training time: what challenges count, where norms still have their own."""

    conv: int = Field(ge=0, le=MAX_COUNT, description="convolution weights, zeros included")
    conv_kept: int = Field(ge=0, le=MAX_COUNT, description="those that the pruning mask keeps, whatever their value")
    linear: int = Field(0, ge=0, le=MAX_COUNT, description="dense weights, and all biases")
    linear_kept: int = Field(0, ge=0, le=MAX_COUNT)
    batch_norm: int = Field(0, ge=0, le=MAX_COUNT, description="scales and shifts")
    sub_spectral_norm: int = Field(0, ge=0, le=MAX_COUNT, description="scales and shifts")

    @model_validator(mode="after")
    def _consistent(self) -> "TrainingCounts":
        if self.conv_kept > self.conv or self.linear_kept > self.linear:
            raise ValueError("more parameters kept than there are")
        return self

    @property
    def parameters(self) -> int:
        """All parameters, pruned ones included."""
        return self.conv + self.linear + self.batch_norm + self.sub_spectral_norm

    @property
    def parameters_kept(self) -> int:
        """Kept weights and all norm parameters: the paper's non-zero count."""
        return self.conv_kept + self.linear_kept + self.batch_norm + self.sub_spectral_norm


@dataclass(frozen=True, eq=False)
class SceneModel:
    """Everything a `.scn` file holds.

    `nodes` run on raw log-mel of one window, see `scenelet.model.ops`; `arrays` are their weights in
    float32, and `encodings` says how each is stored. `provenance` and `results` hold JSON values.
    """

    labels: tuple[str, ...]
    features: FeatureConfig
    window: WindowConfig
    nodes: tuple[Node, ...]
    arrays: dict[str, NDArray[np.float32]]
    encodings: dict[str, Encoding]
    counts: TrainingCounts
    provenance: dict[str, Any]
    results: dict[str, Any]
    licenses: list[str]

    @property
    def input_shape(self) -> Shape:
        """(channels, n_mels, frames) of one window's log-mel."""
        return input_shape(self.features, self.window)

    def shapes(self) -> dict[str, Shape]:
        """Shape of every value of the network, checked on the way. Raises as `scenelet.model.ops.shapes`."""
        return network.shapes(self.nodes, self.array_shapes, self.input_shape)

    @property
    def array_shapes(self) -> dict[str, Shape]:
        """Shape of every array."""
        return {name: array.shape for name, array in self.arrays.items()}


def input_shape(features: FeatureConfig, window: WindowConfig) -> Shape:
    """(channels, n_mels, frames) of one window's log-mel."""
    return features.n_channels, features.n_mels, features.n_frames(window.samples(features.sample_rate))
